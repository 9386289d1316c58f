# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm healing`."""

from datetime import UTC, datetime

import pytest

from broker.core.ids import CountryCode
from broker.storage import migrate
from broker.storage.execution import Execution
from broker.storage.healing import SqlHealing, begin_healing
from broker.storage.schema import exclusive
from broker.testing.store_contract_healing import missed
from broker.testing.store_rows import FI, digest

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture
def restored(home):
    """A home that was restored, asks Finland, and misses one message."""
    url = f"sqlite:///{home / 'trm.db'}"
    migrate(url)
    with exclusive(url) as connection:
        db = Execution(connection)
        begin_healing(db, since=NOW, restored=NOW, position=3, head=digest("head"))
        SqlHealing(db).begin([CountryCode("FI")])
        SqlHealing(db).note_missed(missed(1))
    return home


def test_a_node_that_was_never_restored_has_nothing_to_show(trm, home):
    """Exit code 0, and a sentence."""
    assert trm("healing", "show", "--home", home, "--json").json == {"countries": []}
    assert "never restored" in trm("healing", "show", "--home", home).out


def test_what_is_missed_is_shown_until_a_person_ends_it(trm, restored):
    """Then what was still wanted is lost and named; ending twice is refused."""
    ran = trm("healing", "show", "--home", restored, "--json")
    (country,) = ran.json["countries"]
    assert (ran.code, country["country"], country["ended"], country["wanted"], country["lost"]) == (1, FI, None, 1, [])
    assert "asking" in trm("healing", "show", "--home", restored).out

    assert trm("healing", "end", "FI", "--home", restored, "--json").json == {"ended": "FI"}
    ran = trm("healing", "show", "--home", restored, "--json")
    (lost,) = ran.json["countries"][0]["lost"]
    assert (ran.code, lost["message"], lost["code"]) == (1, missed(1).message, "given-up")
    assert missed(1).message in trm("healing", "show", "--home", restored).out
    assert trm("healing", "end", "FI", "--home", restored).code == 1
