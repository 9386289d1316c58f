# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Trust repositories where one rule is broken in what the federation or a member signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, Delegations

from broker.core.ids import AuthorityId, CountryCode
from broker.core.trust import Authority, AuthorityKey, KeyUse, Member, RevocationReason
from broker.home import generate_keys, member_of
from broker.security import jwk
from broker.testing.trust import make_officers
from broker.trust.member_documents import encode_member, write_member
from broker.trust.officer_keys import tuf_key
from tests.vectors.trust_forge import EE, FI, Change, Forge, cases

__all__ = ["CASES"]


# --- the federation's list and documents ----------------------------------------------------------------------------


def targets_expired(forge: Forge) -> None:
    forge.change("targets", lambda targets: setattr(targets, "expires", forge.now - timedelta(days=1)))


def targets_signed_by_too_few(forge: Forge) -> None:
    forge.change("targets", lambda targets: None, keys=forge.office.federation[:1])


def targets_signed_by_a_member(forge: Forge) -> None:
    forge.change("targets", lambda targets: None, keys=forge.office.members[EE])


def targets_signed_by_the_online_key(forge: Forge) -> None:
    forge.change("targets", lambda targets: None, keys=[forge.office.online])


def targets_rolled_back(forge: Forge) -> None:
    before = (forge.metadata / "1.targets.json").read_bytes()
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    forge.look()
    forge.announce("targets", before)


def _with_a_new_online_key(forge: Forge, role: str, raw: bytes) -> None:
    """Let a new root name a new online key, whose thief begins the snapshots anew with an older list of a role."""
    new = make_officers("EE", 1, label="publisher")[0]
    forge.office.repository.rotate_root(online=new.officer, now=forge.now)
    forge.office.online = new
    forge.office.publish(now=forge.now)
    forge.announce(role, raw)


def targets_rolled_back_under_a_new_online_key(forge: Forge) -> None:
    before = (forge.metadata / "1.targets.json").read_bytes()
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    forge.look()
    _with_a_new_online_key(forge, "targets", before)


def targets_mixed_with_an_older_one(forge: Forge) -> None:
    before = (forge.metadata / "1.targets.json").read_bytes()
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    forge.overwrite("2.targets.json", before)


def targets_missing(forge: Forge) -> None:
    forge.change("targets", lambda targets: None)
    (forge.metadata / "2.targets.json").unlink()


def targets_with_a_name_twice(forge: Forge) -> None:
    forge.change("targets", lambda targets: None)
    forge.overwrite("2.targets.json", forge.twice("2.targets.json"))
    forge.announce("targets", (forge.metadata / "2.targets.json").read_bytes())


def _delegate(forge: Forge, change: Change) -> None:
    forge.change("targets", lambda targets: change(targets.delegations))


def delegation_by_pattern(forge: Forge) -> None:
    _delegate(forge, lambda delegations: setattr(delegations.roles["EE"], "paths", ["members/*.json"]))


def delegation_of_another_countrys_path(forge: Forge) -> None:
    paths = ["members/EE.json", "members/EE/profile.json", "members/FI.json"]
    _delegate(forge, lambda delegations: setattr(delegations.roles["EE"], "paths", paths))


def delegation_that_goes_on(forge: Forge) -> None:
    _delegate(forge, lambda delegations: setattr(delegations.roles["EE"], "terminating", False))


def delegation_to_no_country(forge: Forge) -> None:
    key = tuf_key(forge.office.members[EE][0].officer)
    role = DelegatedRole("anyone", [key.keyid], 1, terminating=True, paths=["members/SE.json"])
    _delegate(forge, lambda delegations: delegations.roles.__setitem__("anyone", role))


def delegation_with_a_forgeable_key(forge: Forge) -> None:
    key = CryptoSigner.generate_ed25519().public_key

    def add(delegations: Any) -> None:
        delegations.keys[key.keyid] = key
        delegations.roles["EE"].keyids.append(key.keyid)

    _delegate(forge, add)


def federation_speaks_for_a_member(forge: Forge) -> None:
    forge.document("members/EE.json", write_member(forge.listed[EE]), role="targets")


def federation_document_unnamed(forge: Forge) -> None:
    forge.change("targets", lambda targets: targets.targets.pop("federation.json"))


def federation_document_missing(forge: Forge) -> None:
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    forge.document_file("federation.json", "targets").unlink()


def _other_federation_document(forge: Forge, change: Callable[[bytes], bytes]) -> None:
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    file = forge.document_file("federation.json", "targets")
    file.write_bytes(change(file.read_bytes()))


def federation_document_changed(forge: Forge) -> None:
    _other_federation_document(forge, lambda raw: raw.replace(b"SUSPENDED", b"ACTIVE   "))


def federation_document_shorter(forge: Forge) -> None:
    _other_federation_document(forge, lambda raw: raw[:-1])


def federation_document_endless(forge: Forge) -> None:
    _other_federation_document(forge, lambda raw: raw + b" " * 1024 * 1024)


def federation_document_of_another_form(forge: Forge) -> None:
    forge.document("federation.json", b'{"format": "trm-federation/1", "name": "x", "members": []}', role="targets")


def federation_document_with_a_name_twice(forge: Forge) -> None:
    entry = b'{"status": "ACTIVE", "kind": "STATE", "reason": null}'
    raw = b'{"format": "trm-federation/1", "name": "x", "members": {"EE": %s, "EE": %s}}' % (entry, entry)
    forge.document("federation.json", raw, role="targets")


def arrangements_not_json(forge: Forge) -> None:
    forge.document("arrangements.json", b"{", role="targets")


def _with_a_revocation(forge: Forge, path: str, raw: bytes) -> None:
    forge.document(path, raw, role="targets")
    key, *others = forge.listed[FI].keys
    revoked = replace(key, revoked_at=forge.now, revoked_because=RevocationReason.COMPROMISED)
    forge.office.set(replace(forge.listed[FI], keys=(revoked, *others)), now=forge.now)
    forge.office.publish(now=forge.now)


def arrangements_of_a_newer_form(forge: Forge) -> None:
    _with_a_revocation(forge, "arrangements.json", b'{"format": "trm-arrangements/2"}')


def catalogue_of_a_newer_form(forge: Forge) -> None:
    _with_a_revocation(forge, "catalogue.json", b'{"format": "trm-catalogue/2"}')


def catalogue_that_does_not_load(forge: Forge) -> None:
    raw = json.dumps({"format": "trm-catalogue/1", "files": {"parts/name.json": "{}"}}).encode()
    forge.document("catalogue.json", raw, role="targets")


def catalogue_with_a_path_that_leads_out(forge: Forge) -> None:
    raw = json.dumps({"format": "trm-catalogue/1", "files": {"parts/../../../home/trm/x.json": "{}"}}).encode()
    forge.document("catalogue.json", raw, role="targets")


# --- a member's list and documents ----------------------------------------------------------------------------------


def member_signed_by_too_few(forge: Forge) -> None:
    forge.change("EE", lambda targets: None, keys=forge.office.members[EE][:1])


def member_signed_by_another_member(forge: Forge) -> None:
    forge.change("EE", lambda targets: None, keys=forge.office.members[FI])


def member_signed_by_the_federation(forge: Forge) -> None:
    forge.change("EE", lambda targets: None, keys=forge.office.federation)


def member_signed_by_replaced_officers(forge: Forge) -> None:
    new = make_officers("EE", 3, label="new officer")
    keys = {key.officer.keyid: tuf_key(key.officer) for key in new}

    def replaced(delegations: Delegations) -> None:
        delegations.keys |= keys
        assert delegations.roles is not None
        delegations.roles["EE"].keyids = list(keys)

    _delegate(forge, replaced)


def member_list_expired(forge: Forge) -> None:
    forge.change("EE", lambda targets: setattr(targets, "expires", forge.now - timedelta(days=1)))


def member_list_missing(forge: Forge) -> None:
    forge.update()
    (forge.metadata / "2.EE.json").unlink()


def member_list_changed(forge: Forge) -> None:
    forge.update()
    forge.overwrite("2.EE.json", (forge.metadata / "1.EE.json").read_bytes())


def member_list_rolled_back_under_a_new_online_key(forge: Forge) -> None:
    before = (forge.metadata / "1.EE.json").read_bytes()
    forge.update()
    forge.look()
    _with_a_new_online_key(forge, "EE", before)


def member_list_not_json(forge: Forge) -> None:
    forge.overwrite("2.EE.json", b"not JSON")
    forge.announce("EE", b"not JSON", version=2)


def member_list_is_another_members(forge: Forge) -> None:
    raw = (forge.metadata / "1.FI.json").read_bytes()
    forge.overwrite("2.EE.json", raw)
    forge.announce("EE", raw, version=2)


def member_list_of_another_version(forge: Forge) -> None:
    raw = (forge.metadata / "1.EE.json").read_bytes()
    forge.overwrite("2.EE.json", raw)
    forge.announce("EE", raw, version=2)


def member_list_of_a_version_that_nobody_can_keep(forge: Forge) -> None:
    forge.change(EE, lambda targets: setattr(targets, "version", 2**53))


def member_delegates_on(forge: Forge) -> None:
    key = tuf_key(forge.office.members[EE][0].officer)
    role = DelegatedRole("FI", [key.keyid], 1, terminating=True, paths=["members/FI.json"])
    forge.change("EE", lambda ee: setattr(ee, "delegations", Delegations({key.keyid: key}, {"FI": role})))


def member_signs_another_countrys_document(forge: Forge) -> None:
    forge.document("members/FI.json", write_member(forge.listed[FI]), role="EE")


def member_document_missing(forge: Forge) -> None:
    forge.update()
    forge.document_file("members/EE.json", "EE").unlink()


def member_document_swapped(forge: Forge) -> None:
    forge.update()
    forge.document_file("members/EE.json", "EE").write_bytes(write_member(forge.listed[FI]))


def member_document_endless(forge: Forge) -> None:
    forge.update()
    file = forge.document_file("members/EE.json", "EE")
    file.write_bytes(file.read_bytes() + b" " * 1024 * 1024)


def member_document_of_another_country(forge: Forge) -> None:
    forge.document("members/EE.json", write_member(forge.listed[FI]), role="EE")


def member_document_with_a_name_twice(forge: Forge) -> None:
    raw = write_member(forge.listed[EE]).replace(b'"authorities": []', b'"authorities": [], "authorities": []')
    forge.document("members/EE.json", raw, role="EE")


def member_document_not_utf8(forge: Forge) -> None:
    forge.document("members/EE.json", b'{"country": "\xff"}', role="EE")


def member_document_in_utf16(forge: Forge) -> None:
    forge.document("members/EE.json", write_member(forge.listed[EE]).decode().encode("utf-16-le"), role="EE")


def member_document_with_an_unknown_member(forge: Forge) -> None:
    raw = json.dumps({**encode_member(forge.listed[EE]), "trusted": True}).encode()
    forge.document("members/EE.json", raw, role="EE")


def member_profile_not_json(forge: Forge) -> None:
    forge.document("members/EE/profile.json", b"{", role="EE")


def member_claims_another_members_key(forge: Forge) -> None:
    keys = (*forge.listed[EE].keys, forge.listed[FI].keys[0])
    forge.office.set(replace(forge.listed[EE], keys=keys), now=forge.now)
    forge.office.publish(now=forge.now)


def two_members_claim_one_new_key(forge: Forge) -> None:
    new = member_of(EE, generate_keys(), now=forge.now, authorities=(), messages={}).keys[0]
    for country in (EE, FI):
        member = forge.listed[country]
        forge.office.set(replace(member, keys=(*member.keys, new)), now=forge.now)
    forge.office.publish(now=forge.now)


# --- keys of offices ------------------------------------------------------------------------------------------------


def _office_key(forge: Forge, public: bytes | None = None) -> AuthorityKey:
    raw = public or jwk.generate(KeyUse.HPKE)[1]
    until = forge.now + timedelta(days=365)
    return AuthorityKey(
        kid=jwk.thumbprint(KeyUse.HPKE, raw),
        public=raw,
        not_before=forge.now,
        seal_until=until,
        accept_until=until + timedelta(days=60),
    )


def _with_offices(member: Member, *keys: AuthorityKey) -> Member:
    offices = [Authority(id=AuthorityId(f"office-{n}"), name="Office", keys=(key,)) for n, key in enumerate(keys)]
    return replace(member, authorities=tuple(offices))


def _sign_with_offices(forge: Forge, country: CountryCode, *keys: AuthorityKey) -> None:
    forge.document(f"members/{country}.json", write_member(_with_offices(forge.listed[country], *keys)), role=country)


def _encryption_key(member: Member) -> bytes:
    return next(key.public for key in member.keys if key.use is KeyUse.HPKE)


def two_offices_with_one_key(forge: Forge) -> None:
    key = _office_key(forge)
    _sign_with_offices(forge, EE, key, key)


def office_with_its_nodes_key(forge: Forge) -> None:
    _sign_with_offices(forge, EE, _office_key(forge, _encryption_key(forge.listed[EE])))


def office_with_a_signing_key(forge: Forge) -> None:
    data = encode_member(_with_offices(forge.listed[EE], _office_key(forge)))
    data["authorities"][0]["keys"][0]["jwk"] = jwk.public_jwk(KeyUse.ED25519, jwk.generate(KeyUse.ED25519)[1])
    forge.document("members/EE.json", json.dumps(data).encode(), role="EE")


def office_key_accepted_too_briefly(forge: Forge) -> None:
    key = _office_key(forge)
    _sign_with_offices(forge, EE, replace(key, accept_until=key.seal_until + timedelta(days=59)))


def _unusable(public: bytes) -> bytes:
    return public[:-32] + bytes(32)  # X25519's neutral point: every shared secret is zero


def member_key_that_nobody_can_seal_to(forge: Forge) -> None:
    keys = tuple(
        replace(key, public=_unusable(key.public)) if key.use is KeyUse.HPKE else key for key in forge.listed[EE].keys
    )
    forge.document("members/EE.json", write_member(replace(forge.listed[EE], keys=keys)), role=EE)


def member_key_under_which_anybody_signs(forge: Forge) -> None:
    keys = tuple(replace(key, public=bytes(32)) if key.use is KeyUse.ED25519 else key for key in forge.listed[EE].keys)
    forge.document("members/EE.json", write_member(replace(forge.listed[EE], keys=keys)), role=EE)


def office_key_that_nobody_can_seal_to(forge: Forge) -> None:
    _sign_with_offices(forge, EE, _office_key(forge, _unusable(_encryption_key(forge.listed[EE]))))


def office_key_with_an_unknown_member(forge: Forge) -> None:
    data = encode_member(_with_offices(forge.listed[EE], _office_key(forge)))
    data["authorities"][0]["keys"][0]["sign_until"] = data["authorities"][0]["keys"][0]["seal_until"]
    forge.document("members/EE.json", json.dumps(data).encode(), role="EE")


def office_claims_another_members_node_key(forge: Forge) -> None:
    _sign_with_offices(forge, EE, _office_key(forge, _encryption_key(forge.listed[FI])))


def office_claims_another_members_office_key(forge: Forge) -> None:
    key = _office_key(forge)
    _sign_with_offices(forge, FI, key)
    forge.look()
    _sign_with_offices(forge, EE, key)


def two_members_offices_claim_one_new_key(forge: Forge) -> None:
    key = _office_key(forge)
    for country in (EE, FI):
        _sign_with_offices(forge, country, key)


CASES = cases(globals())
