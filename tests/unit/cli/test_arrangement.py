# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keeping the register of arrangements."""

import pytest


@pytest.fixture
def register(tmp_path, trm):
    """A register with one arrangement between Estonia and Finland."""
    file = tmp_path / "arrangements.json"
    assert _add(trm, file, "tracing").code == 0
    return file


def _add(trm, file, name, *more, members=("EE", "FI")):
    stated = [part for member in members for part in ("--member", member)]
    return trm(
        "arrangement", "add", name, "--title", "Example", "--agreement", "Made up", "--source", "tests", *stated,
        "--procedure", "family-tracing", "--from", "2026-01-01", "--file", file, *more,
    )  # fmt: skip


def _may(trm, file, day, countries=("EE", "FI")):
    judged = trm("arrangement", "check", *countries, "--file", file, "--on", day, "--json").json["procedures"]
    return {item["procedure"]: item["cover"] for item in judged}["family-tracing"]


def test_an_arrangement_is_added_listed_and_shown(trm, register):
    """What was typed comes back, for people and for scripts."""
    _add(trm, register, "another", "--until", "2026-06-30", "--condition", "Only on paper.", members=("SE", "EE"))
    listed = trm("arrangement", "list", "--file", register, "--on", "2026-07-01", "--json").json["arrangements"]
    assert [(item["id"], item["holds"], item["members"]) for item in listed] == [
        ("another", "ENDED", ["EE", "SE"]), ("tracing", "COVERED", ["EE", "FI"]),
    ]  # fmt: skip
    shown = trm("arrangement", "show", "another", "--file", register)
    assert "Only on paper." in shown.out
    assert "2026-01-01 – 2026-06-30" in shown.out
    assert "in force" in trm("arrangement", "list", "--file", register).out


def test_an_id_is_never_used_twice(trm, register):
    """A second arrangement of the id is refused and the register stays as it was."""
    before = register.read_bytes()
    ran = _add(trm, register, "tracing", members=("EE", "SE"))
    assert ran.code == 1
    assert register.read_bytes() == before


def test_a_register_that_cannot_be_read_is_not_begun_anew(trm, tmp_path):
    """The file is named and stays as it is; what other arrangements it may hold would be lost."""
    file = tmp_path / "arrangements.json"
    file.symlink_to(file)
    ran = _add(trm, file, "tracing")
    assert ran.code == 1
    assert f"where: {file}" in ran.err
    assert file.is_symlink()


@pytest.mark.parametrize(
    ("more", "members", "where"),
    [
        (("--until", "2025-01-01"), ("EE", "FI"), "--until"),
        ((), ("EE",), "--member"),
        ((), ("EE", "EL"), "--member"),
        (("--procedure", "Placement"), ("EE", "FI"), "--procedure"),
        (("--from", "soon"), ("EE", "FI"), "--from"),
    ],
)
def test_what_is_typed_wrongly_is_refused_at_its_option(trm, tmp_path, more, members, where):
    """The error names the option, and no file is made."""
    file = tmp_path / "new.json"
    ran = _add(trm, file, "tracing", *more, members=members)
    assert ran.code == 1
    assert f"where: {where}" in ran.err
    assert not file.exists()


def test_an_end_is_a_last_day(trm, register):
    """It still holds on that day; a day before its first is refused."""
    assert trm("arrangement", "end", "tracing", "--on", "2025-12-31", "--file", register).code == 1
    assert _may(trm, register, "2026-12-31") == "COVERED"
    ran = trm("arrangement", "end", "tracing", "--on", "2026-11-30", "--file", register)
    assert ran.code == 0
    assert "signed" in ran.out
    assert (_may(trm, register, "2026-11-30"), _may(trm, register, "2026-12-01")) == ("COVERED", "ENDED")


def test_a_suspension_works_on_every_day_until_it_is_lifted(trm, register):
    """And lifting it brings the arrangement back as it was."""
    before = register.read_bytes()
    assert trm("arrangement", "suspend", "tracing", "--file", register).code == 0
    assert _may(trm, register, "2026-06-30") == "SUSPENDED"
    assert trm("arrangement", "suspend", "tracing", "--lift", "--file", register).code == 0
    assert register.read_bytes() == before


def test_two_countries_are_told_what_they_may_exchange_and_why(trm, register):
    """In a sentence for each procedure, the missing ones too."""
    people = trm("arrangement", "check", "EE", "FI", "--file", register, "--on", "2026-06-30").out
    assert "Covered by tracing." in people
    assert "Always allowed: danger-notice needs no arrangement." in people
    assert _may(trm, register, "2026-06-30", ("EE", "SE")) == "MISSING"
    assert trm("arrangement", "check", "EE", "--file", register).code == 1


def test_the_register_is_looked_through(trm, register):
    """What could be mistaken is an error; an unknown procedure and a near end are said; a good register is exit code 0."""
    clean = trm("arrangement", "check", "--file", register, "--json")
    assert (clean.code, clean.json["findings"]) == (0, [])
    _add(trm, register, "ending", "--procedure", "star-gazing", "--until", "2026-07-31")
    found = trm("arrangement", "check", "--file", register, "--on", "2026-07-01", "--json")
    assert found.code == 0
    assert [(item["level"], item["arrangement"]) for item in found.json["findings"]] == [("doubt", "ending")] * 2
    _add(trm, register, "wrong", "--procedure", "danger-notice")
    ran = trm("arrangement", "check", "--file", register)
    assert ran.code == 1
    assert "danger-notice" in ran.out


def test_what_is_not_in_the_register_is_not_found(trm, register, tmp_path):
    """An unknown id, a missing file and another file are refused."""
    for arguments in (
        ("show", "nothing", "--file", register),
        ("end", "nothing", "--on", "2026-12-31", "--file", register),
        ("list", "--file", tmp_path / "none.json"),
    ):
        ran = trm("arrangement", *arguments)
        assert (ran.code, ran.out) == (1, "")
