# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm audit`: check, look at and give out the trail of a home."""

import json
import sqlite3

import pytest

from broker.settings import Settings


@pytest.fixture
def worked(trm, home, request_file):
    """A home with one submitted message."""
    assert trm("submit", request_file, "--home", home, "--json").code == 0
    return home


def test_a_trail_is_exported_checked_and_shown(trm, worked, tmp_path):
    """One export links and signs; the trail, the file with and without a trust list, and each entry can be checked."""
    file = tmp_path / "audit.jsonl"
    before = trm("audit", "verify", "--home", worked, "--json").json
    given = trm("audit", "export", "--home", worked, "--reason", "supervisory-authority", "--out", file, "--json")
    after = trm("audit", "verify", "--home", worked, "--json")
    assert (before["intact"], before["not_linked_yet"], before["proven"]) == (True, 1, 0)
    assert given.json == {"file": str(file), "first": 1, "last": 2}
    assert (after.code, after.json["intact"], after.json["proven"]) == (0, True, 2)
    assert file.stat().st_mode & 0o777 == 0o600

    alone = trm("audit", "verify", "--file", file, "--json").json
    listed = trm("audit", "verify", "--file", file, "--home", worked, "--json").json
    assert (alone["intact"], alone["keys_from_trust_list"]) == (True, False)
    assert (listed["intact"], listed["keys_from_trust_list"], listed["shown"]) == (True, True, 2)

    shown = trm("audit", "show", "2", "--home", worked, "--reason", "lawfulness", "--json").json
    assert (shown["entry"]["action"], shown["entry"]["reason"]) == ("trail-exported", "supervisory-authority")
    again = trm("audit", "export", "--home", worked, "--reason", "supervisory-authority", "--out", file)
    assert (again.code, "nothing" in again.err or "already" in again.err) == (1, True)


def test_what_a_file_says_that_it_shows_is_told(trm, worked, tmp_path):
    """A digest alone does not tell whether its entry was rightly left out: people see the limits that the file states."""
    limits = {
        (): "It says that it shows everything.",
        ("--until", "2020-06-30"): "It says that it shows what is before 2020-07-01T00:00:00.000Z.",
        ("--since", "2020-06-01", "--case", "01890000-0000-7000-8000-000000000001"):
            "It says that it shows what is from 2020-06-01T00:00:00.000Z, of one procedure.",
    }  # fmt: skip
    for number, (options, said) in enumerate(limits.items()):
        file = tmp_path / f"{number}.jsonl"
        asked = ("--home", worked, "--reason", "lawfulness", "--out", file, *options)
        assert trm("audit", "export", *asked).code == 0, options
        assert said in trm("audit", "verify", "--file", file).out.replace("\n", " ")


def test_a_changed_database_is_exit_code_1_and_says_where(trm, worked, tmp_path):
    """Somebody with the database's file changes one word: the check names the entry."""
    assert trm("audit", "export", "--home", worked, "--reason", "lawfulness", "--out", tmp_path / "a").code == 0
    (database,) = worked.glob("*.db")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE position = 1")
    connection.close()
    ran = trm("audit", "verify", "--home", worked, "--json")
    assert (ran.code, ran.json["intact"]) == (1, False)
    assert ran.json["findings"][0] | {"said": ""} == {"kind": "changed", "first": 1, "last": 1, "said": ""}
    assert "at 1: the entry is not the one that was linked" in trm("audit", "verify", "--home", worked).out


def test_a_list_is_limited_and_itself_recorded(trm, worked):
    """Filters by action, day and case; why somebody looked stands in the trail behind."""
    listed = trm(
        "audit", "list", "--home", worked, "--reason", "self-monitoring", "--action", "submitted", "--json"
    ).json
    (entry,) = listed["items"]
    case = entry["procedure"]
    by_case = trm("audit", "list", "--home", worked, "--reason", "lawfulness", "--case", case, "--json").json
    assert [item["subject"] for item in by_case["items"]] == [entry["subject"]]
    late = trm("audit", "list", "--home", worked, "--reason", "lawfulness", "--since", "2100-01-01", "--json").json
    assert late == {"items": []}
    looks = trm("audit", "list", "--home", worked, "--reason", "lawfulness", "--action", "trail-shown", "--json").json
    assert [item["reason"] for item in looks["items"]] == ["lawfulness", "lawfulness", "self-monitoring"]


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("list", "--reason", "because"), "--reason"),
        (("list", "--reason", "lawfulness", "--action", "danced"), "--action"),
        (("list", "--reason", "lawfulness", "--since", "yesterday"), "--since"),
        (("list", "--reason", "lawfulness", "--case", "CR-1"), "--case"),
        (("show", "1", "--reason", "because"), "--reason"),
        (("witness", "export", "Finland", "--out", "x"), "COUNTRY"),
    ],
)
def test_what_is_asked_wrongly_is_refused_by_its_place(trm, home, arguments, where):
    """The error names the option and never repeats what was typed."""
    ran = trm("audit", *arguments, "--home", home, "--json")
    assert (ran.code, ran.json["error"]["where"]) == (1, where)


def test_what_is_not_there_is_not_found(trm, worked, tmp_path):
    """No entry at a place, no head of a country: nothing is left behind."""
    assert (
        trm("audit", "show", "9", "--home", worked, "--reason", "lawfulness", "--json").json["error"]["code"]
        == "not-found"
    )
    out = tmp_path / "witness.jsonl"
    ran = trm("audit", "witness", "export", "FI", "--home", worked, "--out", out, "--json")
    assert (ran.json["error"]["code"], out.exists()) == ("not-found", False)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"format":"trm-audit-witness/2","held_by":"FI"}'])
def test_a_file_of_another_kind_is_refused(trm, home, tmp_path, content):
    """A witness file and an export are known by their first line."""
    file = tmp_path / "file"
    file.write_text(content)
    assert trm("audit", "verify", "--home", home, "--witness", file, "--json").json["error"]["code"] == "bad-request"
    assert trm("audit", "verify", "--file", file, "--json").json["error"]["code"] == "bad-request"
    assert trm("audit", "verify", "--json").json["error"]["where"] == "--home"


def test_the_trail_is_read_without_the_vault(trm, worked, tmp_path):
    """Nobody is asked for a passphrase: checking needs no secret; what holds contents still does."""
    vault = Settings.load(worked).vault_file
    vault.rename(tmp_path / "elsewhere")
    assert trm("audit", "list", "--home", worked, "--reason", "lawfulness", "--json").code == 0
    assert trm("audit", "verify", "--home", worked, "--json").code == 0
    refused = trm("inbox", "--home", worked, "--json")
    assert refused.code == 3


def test_disclosures_of_a_case_are_shown_and_recorded(trm, worked, office):
    """What went to whom, as a document and in words; the look stands in the trail with its reason."""
    sent = trm("inbox", "--home", worked, "--direction", "out", "--authority", office, "--json").json["items"][0]
    ran = trm("case", "disclosures", sent["procedure"], "--home", worked, "--authority", office, "--json")
    (item,) = ran.json["disclosed"]
    assert (item["message"], item["to"], item["legal_basis"]["code"]) == (
        sent["id"], "FI/helsinki-wellbeing-services", "B2B_80_1_B",
    )  # fmt: skip
    assert (item["reached"], ran.json["received"], ran.json["corrections"]) == (None, [], [])
    words = trm("case", "disclosures", sent["procedure"], "--home", worked, "--authority", office).out
    assert "not known to have arrived" in words
    assert "Corrections passed on: none" in words
    looks = trm(
        "audit", "list", "--home", worked, "--reason", "lawfulness", "--action", "disclosures-shown", "--json"
    ).json
    assert [item["reason"] for item in looks["items"]] == ["access-request"] * 2
    assert json.dumps(looks).count(sent["procedure"]) >= 2
