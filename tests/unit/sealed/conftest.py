# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message of Estonia's office to Finland's with a part to be sealed, and the list that says whose keys are whose."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.ids import AuthorityId, CountryCode
from broker.core.trust import Authority, Member, TrustList
from broker.schema_files import load_catalogue, read_schema_file
from broker.testing.offices import in_clear, office, with_office_keys

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SENDER, RECIPIENT = office("EE/social-insurance-board"), office("FI/helsinki-wellbeing-services")


@cache
def _catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def catalogue() -> Catalogue:
    """The product's own schemas."""
    return _catalogue()


@pytest.fixture
def trust(catalogue: Catalogue) -> TrustList:
    """Two members with two offices each, every office with a key."""
    messages, procedures = catalogue.speaks()
    members = {}
    for own in (SENDER, RECIPIENT):
        offices = tuple(Authority(id=name, name="Test-Office") for name in (own.authority, AuthorityId("court")))
        member = Member(country=own.country, authorities=offices, messages=messages, procedures=procedures)
        members[own.country] = with_office_keys(member, start=NOW - timedelta(days=1))
    return TrustList(version=1, members=members)


@pytest.fixture
def clear(catalogue: Catalogue) -> dict[str, Any]:
    """A placement request with the aunt's address in clear, as the office writes it."""
    data = json.loads(read_schema_file("examples/placement/request-aunt-in-estonia.json"))
    data |= {
        "sender": {"authority": str(SENDER.authority)},
        "recipient": {"country": str(RECIPIENT.country), "authority": str(RECIPIENT.authority)},
        "legal_basis": {"code": "B2B_82"},
    }
    return in_clear(data, catalogue)


@pytest.fixture
def ee() -> CountryCode:
    """The sending country."""
    return SENDER.country
