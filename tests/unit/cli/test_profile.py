# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Looking up, comparing and checking country profiles."""

import json

import pytest

from broker.core.profile_questions import QUESTIONS
from broker.schema_files import list_profiles, read_schema_file


@pytest.fixture
def profile_file(tmp_path):
    """A profile of Sweden with a second version, in which the age of consent is another and one answer is verified."""
    data = json.loads(read_schema_file(list_profiles()["SE"]))
    newer = json.loads(json.dumps(data["versions"][0])) | {"valid_from": "2027-01-01"}
    placement = newer["answers"]["placement"]
    placement["child_consent_age"]["value"] = 14
    placement["guardian_consent"] |= {"standing": "VERIFIED"}
    placement["decider"] = {"unknown": True, "note": "The law changes; nobody has read it yet."}
    file = tmp_path / "SE.json"
    file.write_text(json.dumps(data | {"versions": [data["versions"][0], newer]}))
    return file


def test_a_profile_is_shown_with_sources_and_what_is_unknown(trm):
    """Each answer says how far it is to be relied on; unknown questions are counted, and listed on request."""
    people, scripts, whole = (trm("profile", "show", "EE", *more) for more in ((), ("--json",), ("--json", "--all")))

    assert people.code == scripts.code == 0
    assert "Social Insurance Board" in people.out
    assert "unverified: from a secondary source" in people.out
    assert "unknown is not no" in people.out
    assert len(scripts.json["answers"]["placement.requires"]["value"]) == 13
    assert "forms.PROSTITUTION" not in scripts.json["answers"]
    assert whole.json["answers"]["forms.PROSTITUTION"] == {"unknown": True}
    assert len(whole.json["answers"]) == len(QUESTIONS)


def test_the_rule_of_the_day_is_shown(trm, profile_file):
    """An old day has the old rule, a day before the first version has none."""
    ages = [
        trm("profile", "show", "SE", "--file", profile_file, "--on", day, "--json").json["answers"][
            "placement.child_consent_age"
        ]["value"]
        for day in ("2026-12-31", "2027-01-01")
    ]
    assert ages == [15, 14]
    early = trm("profile", "show", "SE", "--file", profile_file, "--on", "2026-10-31")
    assert early.code == 1
    assert "begins after" in early.err


def test_what_changed_is_said_in_words(trm, profile_file):
    """Two versions of one file, or the shipped one and a file: another answer and a better source are told apart."""
    for before in ("SE", f"{profile_file}@2026-12-31"):
        ran = trm("profile", "diff", before, profile_file, "--json")
        assert [(change["question"], change["sentence"]) for change in ran.json["changes"]] == [
            (
                "placement.decider",
                "was social welfare board of the municipality – found by: municipality of intended residence, is now unknown",
            ),
            ("placement.child_consent_age", "was 15, is now 14"),
            ("placement.guardian_consent", "the same answer, was unverified: from a secondary source, is now verified"),
        ]
    people = trm("profile", "diff", "SE", profile_file)
    assert "placement.child_consent_age: was 15, is now 14" in people.out
    assert trm("profile", "diff", "SE", "SE", "--json").json["changes"] == []


def test_profiles_of_two_countries_are_not_compared(trm):
    """A difference between countries is no change."""
    ran = trm("profile", "diff", "SE", "FI")
    assert (ran.code, ran.out) == (1, "")


def test_the_shipped_profiles_have_no_error_and_much_that_is_unknown(trm):
    """All eight are checked; every question without an answer is listed."""
    ran = trm("profile", "check", "--json")
    assert (ran.code, ran.json["errors"]) == (0, 0)
    assert [item["country"] for item in ran.json["profiles"]] == list(list_profiles())
    for item in ran.json["profiles"]:
        listed = [finding["question"] for finding in item["findings"] if finding["level"] == "open"]
        assert (item["open"], item["asked"]) == (len(listed), len(QUESTIONS))
        assert 0 < item["open"] < item["asked"]
    people = trm("profile", "check", "EE").out
    assert "unknown, complaint: for_children, for_guardians" in people
    assert "Which relatives the State notified" in people


@pytest.mark.parametrize(
    ("section", "name", "value", "code"),
    [
        ("calendar", "time_zone", "Europe/Nowhere", "no-such-key"),
        ("calendar", "holidays", "XX", "no-such-key"),
        ("placement", "relative_categories", ["PARENTS"], "parents-listed"),
    ],
)
def test_an_error_is_exit_code_1(trm, tmp_path, section, name, value, code):
    """A key that no library knows, or a contradiction, must be mended before anybody signs."""
    data = json.loads(read_schema_file(list_profiles()["FI"]))
    data["versions"][0]["answers"][section][name]["value"] = value
    data["versions"][0]["answers"]["placement"].pop("consent_for_all")
    file = tmp_path / "FI.json"
    file.write_text(json.dumps(data))
    ran = trm("profile", "check", file, "--json")
    assert (ran.code, ran.json["errors"]) == (1, 1)
    assert ran.json["profiles"][0]["findings"][0]["code"] == code


def test_what_is_no_profile_is_refused(trm, tmp_path, profile_file):
    """No country, no file, another country's file, another form: each is said, and where."""
    (tmp_path / "bad.json").write_text('{"format": "trm-profile/1"}')
    for arguments, said in (
        (("show", "XK"), "No profile of that country"),
        (("show", "EL"), "Greece is GR"),
        (("show", "EE", "--on", "yesterday"), "not a day"),
        (("show", "FI", "--file", profile_file), "profile of SE"),
        (("check", tmp_path / "none.json"), "cannot be read"),
        (("check", tmp_path / "bad.json"), "required member is missing"),
    ):
        ran = trm("profile", *arguments)
        assert ran.code in (1, 3)
        assert said in ran.err
        assert ran.out == ""
