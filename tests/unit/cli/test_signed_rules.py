# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Profiles and arrangements as a home's signed trust list has them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.ids import CountryCode
from broker.schema_files import list_profiles, read_schema_file
from broker.testing.federation import Federation, make_federation
from broker.trust import layout

EE = CountryCode("EE")
REGISTER = Path(__file__).parents[3] / "keys" / "demo" / "arrangements.json"


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    """Estonia and Finland; nobody has signed a profile or register yet."""
    return make_federation(tmp_path / "federation", ("EE", "FI"), messages={}, now=datetime.now(UTC))


def test_what_nobody_has_signed_is_said_to_be_missing(trm, federation):
    """A home without signed profile and register gets neither the shipped one nor an empty one."""
    home = federation.homes[EE]
    for arguments in (("profile", "show", "EE"), ("arrangement", "check", "EE", "FI")):
        ran = trm(*arguments, "--home", home)
        assert (ran.code, ran.out) == (1, "")


def test_what_was_signed_is_shown(trm, federation):
    """The home's list is asked, not the files of this program."""
    now = datetime.now(UTC).replace(microsecond=0)
    profile = read_schema_file(list_profiles()["EE"]).replace(b"Social Insurance Board (SKA)", b"Signed Board")
    federation.office.repository.set_document(layout.profile_path(EE), profile, now=now)
    federation.office.repository.set_document(layout.ARRANGEMENTS, REGISTER.read_bytes(), now=now)
    federation.office.publish(now=now)
    home = federation.homes[EE]

    assert "Signed Board" in trm("profile", "show", "EE", "--home", home).out
    assert "Signed Board" not in trm("profile", "show", "EE").out
    judged = trm("arrangement", "check", "EE", "FI", "--home", home, "--json").json["procedures"]
    assert {item["procedure"]: item["cover"] for item in judged}["family-tracing"] == "COVERED"
    assert trm("profile", "show", "EE", "--home", home, "--file", REGISTER).code == 1
