# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Trust repositories that must be taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from broker.core.authority_keys import listed_for
from broker.core.ids import AuthorityId, CountryCode, KeyId
from broker.core.rotation import PublicKey
from broker.core.trust import Authority, KeyUse, RevocationReason
from broker.security import jwk
from broker.testing.trust import make_officers, signers
from tests.vectors.trust_forge import EE, Forge, cases

__all__ = ["CASES"]


def nothing_changed(forge: Forge) -> None:
    pass


def renewed_online(forge: Forge) -> None:
    forge.office.publish(now=forge.now)


def member_rotates_without_the_federation(forge: Forge) -> None:
    forge.update()


def root_rotated_twice_unseen(forge: Forge) -> None:
    for _ in range(2):
        old, new = forge.office.federation, make_officers("SE", 3)
        forge.office.repository.rotate_root(federation=signers(new, 2), now=forge.now)
        root = forge.folder.staged("root")
        assert root is not None
        forge.put("root", root, [*old[:2], *new[:2]])
        forge.folder.unstage("root")
        forge.office.federation = new
    forge.office.publish(now=forge.now)


def country_joins_without_documents_yet(forge: Forge) -> None:
    forge.office.members[CountryCode("SE")] = own = make_officers("SE", 3)
    forge.office.repository.set_member(CountryCode("SE"), signers(own, 2), now=forge.now)
    forge.office.publish(now=forge.now)


def office_gets_a_key(forge: Forge) -> None:
    _list_office_key(forge)


def office_rotates_its_key(forge: Forge) -> None:
    _list_office_key(forge)
    forge.look()
    _list_office_key(forge)


def office_key_revoked(forge: Forge) -> None:
    kid = _list_office_key(forge)
    forge.look()
    forge.office.repository.revoke_key(EE, kid, at=forge.now, reason=RevocationReason.COMPROMISED, now=forge.now)
    forge.office.publish(now=forge.now)


def _list_office_key(forge: Forge) -> KeyId:
    """Let Estonia's officers list one more key of its office, the ceremony's way."""
    public = jwk.generate(KeyUse.HPKE)[1]
    key = PublicKey(kid=jwk.thumbprint(KeyUse.HPKE, public), use=KeyUse.HPKE, public=public)
    office = Authority(id=AuthorityId("desk"), name="Desk")
    member = forge.more.get("member") or replace(forge.listed[EE], authorities=(office,))
    changed = listed_for(member, office.id, [key], start=forge.now, overlap=timedelta(days=7))
    forge.more["member"] = changed
    forge.office.set(changed, now=forge.now)
    forge.office.publish(now=forge.now)
    return key.kid


CASES = cases(globals())
