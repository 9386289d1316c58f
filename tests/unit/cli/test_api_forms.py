# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What `--json` prints is what the API answers: the API's description describes both."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from broker.api.components import components
from broker.schema_files import load_catalogue


@pytest.fixture(scope="module")
def assert_form() -> Callable[[str, Any], None]:
    """Assert that a document has the form that the API's description has under that name."""
    schemas = components(load_catalogue())

    def check(name: str, document: Any) -> None:
        described = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        faults = [
            (list(error.absolute_path), error.message)
            for error in Draft202012Validator(described).iter_errors(document)
        ]
        assert faults == []

    return check


def test_a_message_and_its_procedure_have_the_forms_of_the_api(trm, home, request_file, office, assert_form):
    """Submitted, listed, shown with its evidence, sent again, searched for and followed: each as the API answers it."""
    at = ("--home", home, "--authority", office, "--json")
    accepted = trm("submit", request_file, "--home", home, "--json").json
    assert_form("Accepted", accepted)
    listed = trm("inbox", "--direction", "out", *at).json
    assert_form("MessageList", listed)
    assert [item["case_ref"] for item in listed["items"]] == [accepted["case_ref"]]
    shown = trm("show", accepted["message"], *at).json
    assert_form("Message", shown)
    assert (shown["id"], shown["evidence"]) == (accepted["message"], [])
    assert_form("Resent", trm("resend", accepted["message"], "--reason", "no-answer", *at).json)
    assert_form("CasesFound", trm("case", "search", "--name", "Maarika", *at).json)

    timeline = trm("timeline", accepted["procedure"], *at).json
    steps, actions = timeline.pop("timeline"), timeline.pop("actions")
    assert_form("Procedure", timeline)
    assert_form("Timeline", {"procedure": timeline["id"], "items": steps})
    assert_form("Actions", {"procedure": timeline["id"], "state": timeline["state"], "items": actions})
    assert "family-tracing.withdrawal" in actions


def test_a_held_message_has_the_forms_of_the_api(trm, home, request_file, office, assert_form):
    """In the list, and alone while it waits and when it waits no more."""
    at = ("--home", home, "--authority", office)
    data = json.loads(request_file.read_text("utf-8"))
    data["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    request_file.write_text(json.dumps(data), "utf-8")
    assert trm("submit", request_file, "--home", home).code == 1

    listed = trm("held", "list", *at, "--json").json
    assert_form("HeldList", listed)
    held = listed["items"][0]["id"]
    assert_form("Held", trm("held", "show", held, *at, "--json").json)
    assert trm("held", "reject", held, *at, "--reason", "not-complete").code == 0
    after = trm("held", "show", held, *at, "--json").json
    assert_form("Held", after)
    assert (after["state"], after["decision"]) == ("rejected", "not-complete")


def test_an_audit_trail_has_the_form_of_the_api(trm, home, request_file, assert_form):
    """Each entry has its place in the chain, as soon as it is linked."""
    trm("submit", request_file, "--home", home)
    listed = trm("audit", "list", "--home", home, "--reason", "lawfulness", "--json").json
    assert_form("AuditList", listed)
    assert "submitted" in [item["action"] for item in listed["items"]]


def test_an_uploaded_file_has_the_form_of_the_api(trm, home, office, tmp_path, assert_form):
    """It stands there with the name and kind that a submission gives it."""
    file = tmp_path / "note.txt"
    file.write_text("A note.\n", "utf-8")
    added = trm("attachment", "add", file, "--home", home, "--authority", office, "--json").json
    assert (added.pop("name"), added.pop("kind")) == ("note.txt", "OTHER")
    assert_form("Upload", added)


def test_a_message_that_does_not_open_is_counted_and_hides_no_other(trm, home, request_file, office, assert_form):
    """The list says that there is more than it shows, to people and to scripts."""
    messages = [
        trm("submit", request_file, "--home", home, "--json", "--idempotency-key", key).json["message"] for key in "ab"
    ]
    with closing(sqlite3.connect(home / "trm.db")) as database, database:
        database.execute("UPDATE outbox_content SET header = zeroblob(80) WHERE id = ?", messages[:1])

    at = ("--home", home, "--authority", office, "--direction", "out")
    assert "1 more do not open" in trm("inbox", *at).out
    listed = trm("inbox", *at, "--json").json
    assert_form("MessageList", listed)
    assert ([item["id"] for item in listed["items"]], listed["unreadable"]) == (messages[1:], 1)
