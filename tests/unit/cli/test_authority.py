# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm authority`: who is reached how, and what our country says of its own offices."""

import pytest

from broker.core.ids import AuthorityId, CountryCode
from broker.home import MEMBER_FILE, read_own_member
from broker.system import SystemClock
from broker.trust import layout

PHONE = "+372 000 0000"


def test_what_a_country_says_of_its_office_reaches_the_others(trm, federation, home, office):
    """Written into the document, signed, published: the other country's people read it; what was not named stays."""
    before = read_own_member(home, CountryCode("EE"))
    ran = trm(
        "authority", "set", office, "--home", home, "--contact", f"duty-phone={PHONE}", "--language", "et", "--language", "en",
        "--time-zone", "Europe/Tallinn", "--open", "mon-fri 08:00-16:00", "--open", "sat 10:00-24:00",
        "--competence", "B2B-82:RECEIVE",
    )  # fmt: skip
    assert (ran.code, "Nothing changes for other countries yet" in ran.out) == (0, True)
    now, repository = SystemClock().now(), federation.office.repository
    repository.set_document(layout.member_path(CountryCode("EE")), (home / MEMBER_FILE).read_bytes(), now=now)
    federation.office.publish(now=now)
    theirs = federation.homes[CountryCode("FI")]
    assert trm("trust", "refresh", "--home", theirs).code == 0
    (estonia,) = trm("authority", "list", "--home", theirs, "--country", "EE", "--json").json["items"]
    told = {item["id"]: item for item in estonia["authorities"]}
    week = ["mon", "tue", "wed", "thu", "fri"]
    assert told[office] == {
        "id": office,
        "name": before.authority(AuthorityId(office)).name,
        "languages": ["et", "en"],
        "competences": ["B2B-82:RECEIVE"],
        "time_zone": "Europe/Tallinn",
        "opening_hours": [
            {"days": week, "opens": "08:00", "closes": "16:00"},
            {"days": ["sat"], "opens": "10:00", "closes": "24:00"},
        ],
        "contact_points": [{"kind": "duty-phone", "value": PHONE, "languages": []}],
        "sealable": False,
    }
    shown = trm("authority", "list", "--home", theirs).out
    assert f"duty-phone: {PHONE}" in shown
    assert "open: mon tue wed thu fri 08:00-16:00" in shown
    assert "FI  ACTIVE" in shown


def test_a_new_office_is_added_with_a_name(trm, home):
    """And nothing else of the document changes."""
    before = read_own_member(home, CountryCode("EE"))
    assert (
        trm("authority", "set", "court", "--home", home, "--language", "et", "--json").json["error"]["where"]
        == "--name"
    )
    made = trm("authority", "set", "court", "--home", home, "--name", "Näidiskohus", "--json").json
    after = read_own_member(home, CountryCode("EE"))

    assert made["authorities"][-1]["name"] == "Näidiskohus"
    assert after.authorities[:-1] == before.authorities
    assert (after.keys, after.messages) == (before.keys, before.messages)


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ([], None),
        (["--contact", "pigeon=x"], "--contact"),
        (["--contact", "phone="], "--contact"),
        (["--open", "every day"], "--open"),
        (["--open", "fri-mon 08:00-16:00"], "/authorities/0/opening_hours/0/closes"),
        (["--open", "mon 16:00-08:00", "--time-zone", "Europe/Tallinn"], "/authorities/0/opening_hours/0/closes"),
        (["--open", "mon 08:00-25:00", "--time-zone", "Europe/Tallinn"], "/authorities/0/opening_hours/0/closes"),
        (["--open", "mon 08:00-16:00"], "/authorities/0/time_zone"),
        (["--time-zone", "Europe Tallinn"], "/authorities/0/time_zone"),
        (["--language", "Estonian!"], "/authorities/0/languages/0"),
        (["--competence", "?"], "/authorities/0/competences/0"),
        (["--name", "two\nlines"], "/authorities/0/name"),
    ],
)
def test_what_is_not_of_its_form_changes_nothing(trm, home, office, said, where):
    """The place is told, and the document is as it was."""
    before = (home / MEMBER_FILE).read_bytes()
    ran = trm("authority", "set", office, "--home", home, *said, "--json")

    assert (ran.code, ran.json["error"]["code"], ran.json["error"].get("where")) == (1, "bad-request", where)
    assert (home / MEMBER_FILE).read_bytes() == before


def test_a_country_that_is_no_member_has_no_offices(trm, home):
    """As one that was mistyped."""
    ran = trm("authority", "list", "--home", home, "--country", "PT", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "not-found")


def test_the_node_itself_is_no_office(trm, home):
    """The name of the nodes' own messages is taken."""
    ran = trm("authority", "set", "node", "--home", home, "--name", "Node", "--json")
    assert (ran.code, ran.json["error"]["where"]) == (1, "ID")
