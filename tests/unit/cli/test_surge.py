# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Surge mode above whatever the command line shows."""

import json
from datetime import timedelta

import pytest

from broker.schema_files import read_schema_file
from broker.system import SystemClock


@pytest.fixture
def declared(trm, home, tmp_path, office):
    """A declaration of this country towards FI, for two weeks from today, and its message as it was accepted."""
    data = json.loads(read_schema_file("examples/surge/registration-children-of-one-house.json"))
    data |= {"recipient": {"country": "FI", "authority": "helsinki-wellbeing-services"}}
    data |= {"legal_basis": {"code": "H96_11"}}
    first = SystemClock().now().date()
    data["body"]["declaration"]["declared_on"] = first.isoformat()
    file = tmp_path / "registration.json"
    file.write_text(json.dumps(data))
    ran = trm("submit", file, "--home", home, "--authority", office, "--json")
    assert ran.code == 0, ran.out
    return {**ran.json, "until": (first + timedelta(days=13)).isoformat()}


def test_it_stands_above_every_list_with_its_last_day(trm, home, office, declared):
    """R-39: in the inbox, among what is held, over a message and over a procedure; for programs as a member."""
    mode = [{"declared_by": "EE", "towards": "FI", "until": declared["until"], "exercise": False}]
    said = f"SURGE MODE until {declared['until']}, declared by EE towards FI."
    office_of = ("--authority", office)
    for asked in (
        ("inbox", *office_of), ("held", "list", *office_of), ("show", declared["message"], *office_of),
        ("timeline", declared["procedure"], *office_of),
    ):  # fmt: skip
        assert trm(*asked, "--home", home).out.splitlines()[0] == said, asked
        assert trm(*asked, "--home", home, "--json").json["surge"] == mode, asked


def test_the_list_of_calls_needs_no_passphrase_and_says_that_it_may_be_on(trm, home, declared):
    """R-39, P8: until when is encrypted; the list is there without the vault."""
    (home / "passphrase").unlink(missing_ok=True)
    first = trm("attention", "list", "--home", home).out.splitlines()[0]
    assert first.startswith("SURGE MODE may be on, declared by EE towards FI")
    mode = {"declared_by": "EE", "towards": "FI", "exercise": False}
    assert trm("attention", "list", "--home", home, "--json").json == {"items": [], "surge": [mode]}
