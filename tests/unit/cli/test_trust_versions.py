# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Listing what a node takes, for its officers to sign."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.ids import CountryCode
from broker.home import read_own_member
from broker.schema_files import load_catalogue
from broker.testing.federation import make_federation

EE = CountryCode("EE")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose document lists nothing, as after a catalogue that brought everything anew."""
    return make_federation(tmp_path, (EE,), messages={}, now=datetime.now(UTC)).homes[EE]


def test_the_document_lists_what_the_catalogue_knows_and_keeps_the_rest(trm, home):
    """Messages and procedures are those of the node's catalogue; keys and offices stay; the second time nothing changes."""
    before = read_own_member(home, EE)
    ran = trm("trust", "versions", "--home", home)
    assert (ran.code, f"update-member FOLDER EE --member {home / 'member.json'}" in ran.out.replace("\n", " ")) == (
        0,
        True,
    )
    after = read_own_member(home, EE)
    messages, procedures = load_catalogue().speaks()
    assert (after.messages, after.procedures) == (messages, procedures)
    assert (after.keys, after.authorities) == (before.keys, before.authorities)
    assert set(procedures) == {table.procedure for table in load_catalogue().tables()}

    again = trm("trust", "versions", "--home", home, "--json").json
    assert (again["changed"], again["procedures"]["family-tracing"]) == (False, ["1.0"])
    assert "lists what this node takes" in trm("trust", "versions", "--home", home).out
