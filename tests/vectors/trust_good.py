# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Trust repositories that must be taken."""

from __future__ import annotations

from broker.core.ids import CountryCode
from broker.testing.trust import make_officers, signers
from tests.vectors.trust_forge import Forge, cases

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


CASES = cases(globals())
