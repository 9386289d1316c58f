# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm attention`."""

import getpass
import os
from datetime import UTC, datetime

import pytest

from broker.core.attention import AttentionCode
from broker.core.ids import AuthorityId, CountryCode
from broker.rows import Attention
from broker.storage import migrate
from broker.storage.execution import Execution
from broker.storage.people import raise_attention
from broker.storage.schema import exclusive

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DESK = AuthorityId("tracing-desk")


@pytest.fixture
def called(home):
    """A home where the operator is called for the whole node, and one office for a message."""
    migrate(url := f"sqlite:///{home / 'trm.db'}")
    with exclusive(url) as connection:
        db = Execution(connection)
        for code, subject, office in ((AttentionCode.CLOCK, "clock", None), (AttentionCode.UNREAD, "FI:0192", DESK)):
            raise_attention(
                db,
                Attention(
                    code=code,
                    subject=subject,
                    who=code.who,
                    at=AT,
                    authority=office,
                    peer=CountryCode("FI"),
                    detail=code.meaning,
                ),
            )
    return home


def test_nothing_to_look_at_is_a_sentence(trm, home):
    """An empty list is said, and exit code 0."""
    assert trm("attention", "list", "--home", home, "--json").json == {"items": []}
    assert "Nothing waits" in trm("attention", "list", "--home", home).out


def test_who_is_called_sees_since_when_why_and_the_next_step(trm, called, monkeypatch):
    """The list names time with its zone, who must act, what it means and how to close it; no passphrase is asked for."""
    (called / "passphrase").unlink(missing_ok=True)
    ran = trm("attention", "list", "--home", called)

    assert ran.code == 0
    for said in (
        "since (UTC)",
        "2026-11-22 03:00",
        "unread",
        "caller",
        DESK,
        "compare this node's clock",
        "attention resolve",
    ):
        assert said in ran.out
    assert ran.out.count("compare this node's clock") == 1
    items = trm("attention", "list", "--home", called, "--json").json["items"]
    assert [item["code"] for item in items] == ["unread", "clock"]
    assert items[0]["at"] == "2026-11-22T03:00:00.000Z"
    assert items[1]["meaning"] == AttentionCode.CLOCK.meaning


def test_an_office_sees_and_closes_its_own_alone(trm, called):
    """Another office's number is as unknown as none; what is closed stays to be seen, with who closed it."""
    (mine,) = trm("attention", "list", "--home", called, "--authority", DESK, "--json").json["items"]
    strange = trm("attention", "resolve", mine["id"], "--home", called, "--authority", "other-desk", "--json")
    assert (strange.code, strange.json["error"]["code"], strange.json["error"]["where"]) == (1, "not-found", "ENTRY")

    done = trm("attention", "resolve", mine["id"], "--home", called, "--authority", DESK, "--json")
    assert (done.code, done.json) == (0, {"resolved": mine["id"], "code": "unread"})
    assert trm("attention", "resolve", mine["id"], "--home", called).code == 1  # once
    assert [item["code"] for item in trm("attention", "list", "--home", called, "--json").json["items"]] == ["clock"]
    closed = trm("attention", "list", "--home", called, "--closed", "--json").json["items"][0]
    assert closed["resolved_by"] == f"cli:{os.environ.get('SUDO_USER') or getpass.getuser()}"
    assert "attention-resolved" in trm("audit", "list", "--home", called, "--reason", "self-monitoring").out


def test_the_list_is_limited_to_a_country_and_a_code_and_goes_on(trm, called):
    """Either limits it, and a page says how to see the next one, which the cursor gives; the last page says nothing."""

    def codes(*options):
        return [item["code"] for item in trm("attention", "list", "--home", called, "--json", *options).json["items"]]

    assert codes("--peer", "FI") == ["unread", "clock"]
    assert codes("--peer", "LV") == []
    assert codes("--peer", "FI", "--code", "clock") == ["clock"]
    assert "Nothing of what was asked for" in trm("attention", "list", "--home", called, "--peer", "LV").out

    page = trm("attention", "list", "--home", called, "--limit", "1", "--json").json
    assert codes("--limit", "1", "--cursor", page["next"]) == ["clock"]
    told = trm("attention", "list", "--home", called, "--limit", "1").out
    assert f"--cursor {page['next']}" in told
    assert "--cursor" not in trm("attention", "list", "--home", called, "--limit", "1", "--cursor", page["next"]).out


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [("--peer", "Finland", "bad-request"), ("--code", "no-such", "bad-request"), ("--cursor", "é", "bad-cursor")],
)
def test_a_limit_that_is_none_is_refused(trm, called, option, value, code):
    """A country, a code or a cursor that cannot be is told, and not answered with an empty list."""
    ran = trm("attention", "list", "--home", called, option, value, "--json")

    assert (ran.code, ran.json["error"]["code"]) == (1, code)


def test_an_office_that_is_no_id_is_refused(trm, called):
    """The error names the option."""
    ran = trm("attention", "list", "--home", called, "--authority", "No Such", "--json")
    assert (ran.code, ran.json["error"]["where"]) == (1, "--authority")
