# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the federation's document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import MemberKind, MemberStatus
from broker.trust.federation_documents import FederationDocument, Membership, read_federation, write_federation

DOCUMENT = FederationDocument(
    name="Test federation",
    members={
        CountryCode("EE"): Membership(),
        CountryCode("FI"): Membership(status=MemberStatus.SUSPENDED, reason="A drill."),
        CountryCode("SE"): Membership(kind=MemberKind.PAPER),
    },
)


def test_the_document_reads_back() -> None:
    """Name, status, kind and reason come back."""
    assert read_federation(write_federation(DOCUMENT)) == DOCUMENT


@pytest.mark.parametrize(
    ("country", "entry", "where"),
    [
        ("EE", {"status": "ACTIVE", "kind": "STATE", "reason": "why"}, "/members/EE/reason"),
        ("EE", {"status": "SUSPENDED", "kind": "STATE", "reason": None}, "/members/EE/reason"),
        ("EE", {"status": "GONE", "kind": "STATE", "reason": None}, "/members/EE/status"),
        ("EE", {"status": "ACTIVE", "kind": "CITY", "reason": None}, "/members/EE/kind"),
        ("EE", {"status": "ACTIVE", "kind": "STATE"}, "/members/EE/reason"),
        ("EE", {"status": "ACTIVE", "kind": "STATE", "reason": None, "keys": []}, "/members/EE/keys"),
        ("Estonia", {"status": "ACTIVE", "kind": "STATE", "reason": None}, "/members"),
    ],
)
def test_an_entry_of_another_form_is_refused(country: str, entry: Any, where: str) -> None:
    """A suspension needs its reason, and nothing more is said of a country than status and kind."""
    data = {"format": "trm-federation/1", "name": "Test federation", "members": {country: entry}}
    with pytest.raises(TrustListInvalid) as caught:
        read_federation(json.dumps(data).encode())
    assert caught.value.where == f"federation.json: {where}"


@pytest.mark.parametrize("change", [{"format": "other"}, {"name": ""}, {"name": 3}, {"members": []}, {"more": 1}])
def test_a_document_of_another_form_is_refused(change: dict[str, Any]) -> None:
    """Every member of the document has its one form."""
    data = {**json.loads(write_federation(DOCUMENT)), **change}
    with pytest.raises(TrustListInvalid):
        read_federation(json.dumps(data).encode())
