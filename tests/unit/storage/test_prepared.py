# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements are written once for all engines of a process, in each database's own words."""

from pathlib import Path

import pytest
from sqlalchemy import bindparam, select

from broker.core.ids import CountryCode
from broker.storage import migrate, open_store
from broker.storage.prepared import prepare
from broker.storage.tables import counter
from broker.testing.at_rest import unsafe_at_rest

LOOKED_UP = select(counter.c.value).where(counter.c.name == bindparam("asked"), counter.c.value > 3)
LISTED = select(counter.c.value).where(counter.c.name.in_(bindparam("several", expanding=True)))


@pytest.mark.parametrize(("database", "places"), [("sqlite", ("?", "?")), ("postgresql", ("$1", "$2"))])
def test_parameters_have_places_in_the_databases_own_words(database: str, places: tuple[str, str]) -> None:
    """What is asked and what stands in the statement itself are both handed over beside the text."""
    prepared = prepare(LOOKED_UP, ("asked",), database)

    assert prepared is not None
    assert all(place in prepared.text for place in places)
    assert prepared.values({"asked": "here"}) == ["here", 3]


def test_a_list_goes_the_ordinary_way() -> None:
    """Its length is part of the text, which is therefore no two times the same."""
    assert prepare(LISTED, ("several",), "sqlite") is None


async def test_the_next_store_finds_what_the_first_prepared(tmp_path: Path) -> None:
    """A second store of the process writes no statement anew."""

    async def count(name: str) -> None:
        url = f"sqlite:///{tmp_path / name}"
        migrate(url)
        store = open_store(url, us=CountryCode("EE"), cipher=unsafe_at_rest())
        await store.read(lambda reader: reader.counts())
        await store.close()

    await count("first.db")
    before = prepare.cache_info()
    await count("second.db")
    after = prepare.cache_info()
    assert after.misses == before.misses
    assert after.hits > before.hits
