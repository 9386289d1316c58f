# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Members to list, made once: keys cost time and are never used here."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from broker.core.ids import AuthorityId, CountryCode, MessageType, SchemaVersion
from broker.core.trust import (
    Authority,
    ContactKind,
    ContactPoint,
    Member,
    OpeningHours,
    Weekday,
)
from broker.home import generate_keys, member_of
from broker.testing.trust import TrustOffice

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@cache
def listed(country: str) -> Member:
    """Return a member with one key of each use and one office."""
    office = Authority(
        id=AuthorityId("child-protection"),
        name=f"Child protection {country}",
        languages=("et", "en"),
        competences=("B2B-82:RECEIVE",),
        time_zone="Europe/Tallinn",
        opening_hours=(OpeningHours(days=(Weekday.MON, Weekday.TUE), opens="08:00", closes="16:30"),),
        contact_points=(ContactPoint(kind=ContactKind.DUTY_PHONE, value="+372 000 0000", languages=("et",)),),
    )
    return member_of(
        CountryCode(country),
        generate_keys(),
        now=NOW,
        authorities=(office,),
        messages={MessageType("family-tracing.request"): (SchemaVersion("1.0"),)},
    )


@pytest.fixture
def now() -> datetime:
    """When everything happens."""
    return NOW


@pytest.fixture
def ee() -> Member:
    """Estonia's entry."""
    return listed("EE")


@pytest.fixture
def fi() -> Member:
    """Finland's entry."""
    return listed("FI")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> TrustOffice:
    """A federation of 2-of-3 with one member of 2-of-3, everything signed and published; no test touches it."""
    made = TrustOffice.create(tmp_path_factory.mktemp("published") / "trust", officers=3, threshold=2, now=NOW)
    made.add(listed("EE"), officers=3, threshold=2, now=NOW)
    made.publish(now=NOW)
    return made


@pytest.fixture
def office(published: TrustOffice, tmp_path: Path) -> TrustOffice:
    """A federation of 2-of-3 with one member of 2-of-3, everything signed and published."""
    return published.copied(tmp_path / "trust")
