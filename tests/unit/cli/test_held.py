# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm held`."""

from __future__ import annotations

import json

import pytest

from broker.schema_files import read_schema_file


@pytest.fixture
def held(trm, home, request_file, office):
    """A message that waits, written by whoever runs the tests."""
    data = json.loads(request_file.read_text("utf-8"))
    data["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    request_file.write_text(json.dumps(data), "utf-8")
    assert trm("submit", request_file, "--home", home).code == 1
    (item,) = trm("held", "list", "--home", home, "--authority", office, "--json").json["items"]
    return item


def test_a_held_message_is_listed_and_shown(trm, home, held, office):
    """Why it waits is in the list; what it says is shown alone, and what comes next."""
    assert [reason["rule"] for reason in held["reasons"]] == ["R-05"]
    assert "R-05" in trm("held", "list", "--home", home, "--authority", office).out
    shown = trm("held", "show", held["id"], "--home", home, "--authority", office)
    assert "trm held release" in shown.out
    assert trm("held", "show", held["id"], "--home", home, "--authority", office, "--json").json["content"]["body"]


def test_a_held_message_is_looked_for_where_it_stands(trm, home, held, office):
    """Its id was given when it was submitted: who shows it as a message is told where it is, another office nothing."""
    ours = trm("show", held["id"], "--home", home, "--authority", office, "--json").json["error"]
    assert (ours["code"], "among the held messages" in ours["detail"]) == ("not-found", True)
    for more in (("--direction", "in"), ("--peer", "SE")):
        elsewhere = trm("show", held["id"], "--home", home, "--authority", office, *more, "--json").json["error"]
        assert elsewhere["detail"].startswith("There is no such thing here")
    other = trm("show", held["id"], "--home", home, "--authority", "other-desk", "--json").json["error"]
    assert other["detail"].startswith("There is no such thing here")


def test_a_second_person_reads_what_stands_there(trm, home, request_file, office):
    """Characters that turn or hide text are spelled out; a name in another script stays as it is written."""
    data = json.loads(request_file.read_text("utf-8"))
    data["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    data["body"]["supporting_reasons"] = "ليلى \u202eon\u202c \x9b2J"
    request_file.write_text(json.dumps(data), "utf-8")
    assert trm("submit", request_file, "--home", home).code == 1
    (item,) = trm("held", "list", "--home", home, "--authority", office, "--json").json["items"]

    shown = trm("held", "show", item["id"], "--home", home, "--authority", office).out
    assert r"ليلى \u202eon\u202c \u009b2J" in shown


def test_its_author_takes_it_back_and_does_not_release_it(trm, home, held, office):
    """The one is refused, the other done once; a reason of no list is refused."""
    refused = trm("held", "release", held["id"], "--home", home, "--authority", office, "--reason", "checked", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "forbidden")
    wrong = trm("held", "reject", held["id"], "--home", home, "--authority", office, "--reason", "checked", "--json")
    assert (wrong.code, wrong.json["error"]["where"]) == (1, "--reason")
    assert (
        trm("held", "reject", held["id"], "--home", home, "--authority", office, "--reason", "not-complete").code == 0
    )
    assert (
        trm("held", "reject", held["id"], "--home", home, "--authority", office, "--reason", "not-complete").code == 1
    )
    assert "Nothing waits" in trm("held", "list", "--home", home, "--authority", office).out


def test_another_person_releases_it(trm, home, held, office, monkeypatch):
    """The audit trail knows who types by the account."""
    monkeypatch.setenv("SUDO_USER", "another")  # two people, one account of the node
    released = trm(
        "held", "release", held["id"], "--home", home, "--authority", office, "--reason", "checked", "--json"
    )
    assert (released.code, released.json["message"]) == (0, held["id"])


def test_whoever_releases_names_the_newer_messages(trm, home, tmp_path, request_file, office, monkeypatch):
    """They are shown with the command that names them; without that it is refused."""
    request = trm("submit", request_file, "--home", home, "--json").json
    correction = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    correction["procedure"] = request["procedure"]
    file = tmp_path / "correction.json"
    for pointer, now in (("/child", "Test-Mari"), ("/child/birth/value/date", "2015-01-01")):
        correction["body"] |= {"target": request["digest"], "fields": [{"pointer": pointer, "now": {"value": now}}]}
        file.write_text(json.dumps(correction), "utf-8")
        newer = trm("submit", file, "--home", home, "--json").json
    at = ("--home", home, "--authority", office)
    (item,) = trm("held", "list", *at, "--json").json["items"]
    shown = trm("held", "show", item["id"], *at).out
    assert "family-tracing.correction" in shown
    assert f"--seen {newer['message']}" in " ".join(shown.split())

    monkeypatch.setenv("SUDO_USER", "another")
    release = ("held", "release", item["id"], *at, "--reason", "checked")
    refused = trm(*release, "--json").json["error"]
    assert (refused["code"], newer["message"] in refused["detail"]) == ("newer-messages", True)
    assert trm(*release, "--seen", "x", "--json").json["error"]["code"] == "bad-request"
    assert trm(*release, "--seen", newer["message"], "--json").json["message"] == item["id"]
