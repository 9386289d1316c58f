# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm case erase`, `erasures`, `confirm` and `reject`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from broker.core.ids import MessageId


@pytest.fixture
def case(trm, home, request_file, office):
    """A case with one message that never left: nothing runs here."""
    sent = trm("submit", request_file, "--home", home, "--json").json
    return sent["procedure"]


def deliver(home):
    """What the other country's receipt does: no node runs here that could take one."""
    with closing(sqlite3.connect(home / "trm.db")) as db, db:
        db.execute("UPDATE outbox SET state = 'delivered'")


def _act(trm, home, office, *words):
    return trm("case", *words, "--home", home, "--authority", office, "--json")


def test_a_dry_run_lists_and_proposes_nothing(trm, home, office, case):
    """What goes, what stays, and what speaks against it now."""
    said = trm("case", "erase", case, "--home", home, "--authority", office, "--reason", "court-order", "--dry-run")
    assert said.code == 0
    assert "Goes: contents of 1 messages" in said.out
    assert "Not now: Not delivered" in said.out
    listed = _act(trm, home, office, "erase", case, "--reason", "no-longer-needed", "--dry-run").json
    assert [one["code"] for one in listed["listed"]["hindrances"]] == ["case-open", "messages-owed"]
    assert len(listed["listed"]["messages"]) == 1
    assert "No erasure" in trm("case", "erasures", "--home", home, "--authority", office).out


def test_what_cannot_be_erased_now_is_refused(trm, home, office, case):
    """With a code and who must act; a reason of no list and a case of no form are told at once."""
    refused = _act(trm, home, office, "erase", case, "--reason", "court-order")
    assert (refused.code, refused.json["error"]["code"]) == (1, "messages-owed")
    wrong = _act(trm, home, office, "erase", case, "--reason", "exercise")
    assert (wrong.code, wrong.json["error"]["where"]) == (1, "--reason")
    assert _act(trm, home, office, "erase", "CR-1", "--reason", "objection").code == 1
    nothing = _act(trm, home, office, "confirm", case)
    assert (nothing.code, nothing.json["error"]["code"]) == (1, "not-found")


def test_two_persons_erase(trm, home, office, case, monkeypatch):
    """One proposes, another confirms; then it is final with the next epoch."""
    deliver(home)
    proposed = trm("case", "erase", case, "--home", home, "--authority", office, "--reason", "court-order")
    assert "another person confirms: trm case confirm" in proposed.out
    (item,) = _act(trm, home, office, "erasures").json["items"]
    assert MessageId(item["id"])
    alone = _act(trm, home, office, "confirm", item["id"])
    assert (alone.code, alone.json["error"]["code"]) == (1, "forbidden")

    monkeypatch.setenv("SUDO_USER", "another")  # two people, one account of the node
    done = trm("case", "confirm", item["id"], "--home", home, "--authority", office)
    assert "trm keys rotate --which wrapping" in done.out
    assert json.loads(trm("keys", "rotate", "--which", "wrapping", "--home", home, "--json").out)["epoch"] == 2
    (item,) = _act(trm, home, office, "erasures").json["items"]
    assert (item["state"], bool(item["final"]), item["to_remove"]) == ("erased", True, 1)
    assert "final, 1 copies" in trm("case", "erasures", "--home", home, "--authority", office).out
    assert _act(trm, home, office, "erase", case, "--reason", "objection").json["error"]["code"] == "case-erased"
    shown = trm("case", "disclosures", case, "--home", home, "--authority", office)
    assert f"Procedure {case} with FI was erased on" in shown.out  # and not only: nothing was disclosed


def test_an_erased_message_says_by_which_decision(trm, home, office, case, monkeypatch):
    """Its office learns when and why, and where its times stay; another office learns nothing."""
    deliver(home)
    (message,) = _act(trm, home, office, "erase", case, "--reason", "court-order", "--dry-run").json["listed"][
        "messages"
    ]
    made = _act(trm, home, office, "erase", case, "--reason", "court-order").json["erasure"]["id"]
    monkeypatch.setenv("SUDO_USER", "another")
    assert _act(trm, home, office, "confirm", made).code == 0

    said = trm("show", message["id"], "--home", home, "--authority", office)
    assert (said.code, said.out) == (1, "")
    assert f"by erasure {made} (court-order). Its times and receipts stay in procedure {case}." in said.err
    other = trm("show", message["id"], "--home", home, "--authority", "other-desk", "--json")
    assert other.json["error"]["detail"] == "There is no such thing here, or it belongs to another authority."
    assert "ERASED here at" in trm("timeline", case, "--home", home, "--authority", office).out


def test_a_proposal_is_taken_back(trm, home, office, case):
    """By whoever made it too; then it waits no more."""
    deliver(home)
    made = _act(trm, home, office, "erase", case, "--reason", "authority-order").json["erasure"]["id"]
    assert "Rejected" in trm("case", "reject", made, "--home", home, "--authority", office).out
    again = _act(trm, home, office, "reject", made)
    assert (again.code, again.json["error"]["code"]) == (1, "already-settled")
