# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the verified list as it is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from broker.core import canonical
from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode, Digest
from broker.core.trust import Member, MemberKind, MemberStatus
from broker.trust.federation_documents import FederationDocument, Membership, write_federation
from broker.trust.list_documents import ListDocument, MemberTexts, read_list, trust_list_of, write_list
from broker.trust.member_documents import write_member

EE, FI = CountryCode("EE"), CountryCode("FI")


@pytest.fixture
def document(ee: Member, now: datetime) -> ListDocument:
    """A list of a suspended country and a paper counterpart."""
    members = {
        EE: Membership(status=MemberStatus.SUSPENDED, reason="A drill."),
        FI: Membership(kind=MemberKind.PAPER),
    }
    return ListDocument(
        version=7,
        root_version=2,
        expires=now,
        sources={"root": 2, EE: 3},
        federation=write_federation(FederationDocument(name="Test", members=members)).decode(),
        catalogue=Digest("0" * 64),
        members={EE: MemberTexts(document=write_member(ee).decode(), expires=now), FI: MemberTexts()},
    )


def test_a_list_reads_back(document: ListDocument) -> None:
    """Its canonical bytes give the same value, and the value the same bytes."""
    raw = write_list(document)
    assert read_list(raw) == document
    assert canonical.parse(raw)["format"] == "trm-trust-list/1"


def test_the_federation_says_who_is_a_member_and_the_member_the_rest(
    document: ListDocument, ee: Member, now: datetime
) -> None:
    """Status and kind come from one document, keys and offices from the other."""
    trust = trust_list_of(document)
    assert (trust.version, trust.expires, trust.catalogue) == (7, now, "0" * 64)
    assert trust.members[EE] == replace(ee, status=MemberStatus.SUSPENDED, expires=now)
    assert trust.members[FI] == Member(country=FI, kind=MemberKind.PAPER)


def test_a_new_root_may_begin_the_numbers_anew(document: ListDocument) -> None:
    """A list under a newer root is newer, whatever its number."""
    assert replace(document, root_version=3, version=1).standing > document.standing
    assert replace(document, version=6).standing < document.standing


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"format":"other"}', b"\xff"])
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    """A damaged row is told as such."""
    with pytest.raises(TrustListInvalid):
        read_list(raw)
