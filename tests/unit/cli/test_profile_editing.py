# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Changing one answer of a profile, and reading one that somebody wrote by hand."""

import json

import pytest

from broker.schema_files import list_profiles, read_schema_file

AGE = "placement.child_consent_age"
SOURCE = ("--document", "Social Services Act (example)", "--place", "22 kap. 9 §", "--read", "2026-11-20")


@pytest.fixture
def profile(tmp_path):
    """A copy of Sweden's profile."""
    file = tmp_path / "se.json"
    file.write_bytes(read_schema_file(list_profiles()["SE"]))
    return file


def answer(trm, profile, day):
    """Return the age of consent on a day."""
    ran = trm("profile", "show", "SE", "--file", profile, "--on", day, "--json")
    return ran.json["answers"].get(AGE)


def test_one_answer_changes_from_a_day_on(trm, profile):
    """The earlier rule stays on its days, and every other answer on all; source, day and standing are kept."""
    before = json.loads(profile.read_bytes())["versions"]
    ran = trm(
        "profile", "set", profile, AGE, "16", *SOURCE, "--standing", "VERIFIED",
        "--from", "2027-01-01", "--because", "An example act.", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert answer(trm, profile, "2026-12-31") == ran.json["before"]
    assert answer(trm, profile, "2027-01-01") == {
        "value": 16,
        "standing": "VERIFIED",
        "source": {"document": "Social Services Act (example)", "place": "22 kap. 9 §", "read": "2026-11-20"},
    }
    after = json.loads(profile.read_bytes())["versions"]
    assert after[:-1] == before
    assert after[-1]["because"] == "An example act."
    newest = trm("profile", "diff", f"{profile}@2026-12-31", profile, "--json").json["changes"]
    assert [change["question"] for change in newest] == [AGE]

    again = trm(
        "profile", "set", profile, AGE, "--unknown", "--note", "Asked the ministry.",
        "--from", "2027-01-01", "--because", "The act was not passed.",
    )  # fmt: skip
    assert (again.code, "profile check" in again.out) == (0, True)
    assert len(json.loads(profile.read_bytes())["versions"]) == len(after)
    assert answer(trm, profile, "2027-01-01") == {"unknown": True, "note": "Asked the ministry."}


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("weather.rain", "yes", *SOURCE), "QUESTION"),
        ((AGE, "16"), "--document"),
        ((AGE, "old", *SOURCE), f"/{AGE}/value"),
        ((AGE, "16", *SOURCE, "--standing", "SURE"), f"/{AGE}/standing"),
        ((AGE, *SOURCE), "VALUE"),
        ((AGE, "16", "--unknown", *SOURCE), "VALUE"),
        ((AGE, "--unknown"), "--note"),
        ((AGE, "16", *SOURCE, "--from", "2020-01-01"), "--from"),
        (("placement.decider", "Some board", *SOURCE), "VALUE"),
    ],
)
def test_what_is_not_stated_whole_changes_nothing(trm, profile, arguments, place):
    """The refusal names the place, and the file is as it was, byte for byte."""
    before = profile.read_bytes()
    ran = trm("profile", "set", profile, *arguments, "--because", "A test.", "--json")
    assert ran.code != 0
    assert ran.json["error"]["where"].endswith(place)
    assert profile.read_bytes() == before


def test_every_wrong_place_of_a_written_file_is_told(trm, profile, tmp_path):
    """Who writes by hand mends all of it at once; nothing of what stands there is repeated."""
    data = json.loads(profile.read_bytes())
    answers = data["versions"][0]["answers"]
    answers["calendar"]["time_zone"]["standing"] = "SURE-SECRET"
    answers["weather"] = {}
    profile.write_text(json.dumps(data))
    error = trm("profile", "check", profile, "--json").json["error"]
    assert error["code"] == "trust-list-invalid"
    assert "/versions/0/answers (additionalProperties)" in error["detail"]
    assert "/versions/0/answers/calendar/time_zone" in error["detail"]
    assert "SECRET" not in error["detail"]

    register = tmp_path / "register.json"
    register.write_text('{"format": "trm-arrangements/1", "arrangements": [{"id": "x"}], "more": 1}')
    error = trm("arrangement", "list", "--file", register, "--json").json["error"]
    assert "/arrangements/0 (required)" in error["detail"]
    assert "/ (additionalProperties)" in error["detail"]
