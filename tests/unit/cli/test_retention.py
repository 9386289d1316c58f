# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm case retention`, `hold` and `review`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture
def case(trm, home, request_file, office):
    """A case with one message."""
    return trm("submit", request_file, "--home", home, "--json").json["procedure"]


def _act(trm, home, office, *words):
    return trm("case", *words, "--home", home, "--authority", office, "--json")


def test_every_case_has_a_review_date_and_its_rule(trm, home, office, case):
    """From the product's rules; where the node has its own, from those."""
    (item,) = _act(trm, home, office, "retention").json["items"]
    assert (item["procedures"], item["due"], "hold" in item) == ([case], False, False)
    assert item["rule"]["count"] == 12
    assert item["review"] in trm("case", "retention", "--home", home, "--authority", office).out
    assert "No case is due" in trm("case", "retention", "--due", "--home", home, "--authority", office).out

    rule = {"limit": {"months": 3}, "kind": "AGREED", "source": "ours"}
    (home / "retention.json").write_text(json.dumps({"default": rule, "procedures": {}}))
    assert _act(trm, home, office, "retention").json["items"][0]["rule"]["source"] == "ours"
    (home / "retention.json").write_text("{}")
    broken = _act(trm, home, office, "retention")
    assert (broken.code, broken.json["error"]["code"]) == (3, "home-invalid")
    assert "retention.json" in broken.json["error"]["where"]


def test_a_case_is_held_and_released(trm, home, office, case):
    """Once each, for a reason of the list; either the one or the other."""
    assert _act(trm, home, office, "hold", case, "--why", "complaint").json["hold"]["why"] == "complaint"
    assert "complaint" in trm("case", "retention", "--home", home, "--authority", office).out
    assert _act(trm, home, office, "hold", case, "--why", "complaint").json["error"]["code"] == "already-settled"
    assert "no legal hold" in trm("case", "hold", case, "--release", "--home", home, "--authority", office).out
    for words in ((), ("--why", "complaint", "--release"), ("--why", "because")):
        assert _act(trm, home, office, "hold", case, *words).json["error"]["where"] == "--why"


def test_a_review_puts_the_next_one_off(trm, home, office, case):
    """To a day ahead, with who did and why."""
    until = (datetime.now(UTC) + timedelta(days=900)).date().isoformat()
    done = _act(trm, home, office, "review", case, "--keep-until", until, "--why", "child-may-ask")
    assert (done.json["review"], done.json["keep"]["why"]) == (until, "child-may-ask")
    assert "child-may-ask" in trm("case", "retention", "--home", home, "--authority", office).out
    past = _act(trm, home, office, "review", case, "--keep-until", "2020-01-01", "--why", "child-may-ask")
    assert (past.code, past.json["error"]["code"]) == (1, "bad-request")
