# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-03: what the other side determined not to be disclosed reaches no further office without a second person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broker.core.ids import CountryCode, Digest, MessageType
from broker.core.reasons import Earlier, Level
from broker.core.undisclosed import determines, passed_on
from broker.schema_files import load_catalogue

ROOT = Path(__file__).parents[3] / "schemas"
EE, FI = CountryCode("EE"), CountryCode("FI")
KIND = MessageType("child-information.reply")
DETERMINED = {"determined_by": {}, "on": "2026-11-01", "covers": ["CONTACT"]}
JOINS = {"changes": [{"change": "JOINS", "office": {"name": "Test-Amet"}}]}


def _said(non_disclosure: Any, by: CountryCode = FI) -> Earlier:
    return Earlier(type=KIND, digest=Digest("a" * 64), author=by, body={"non_disclosure": non_disclosure})


@pytest.mark.parametrize(
    ("stated", "held"),
    [
        (DETERMINED, True),
        ({"value": DETERMINED}, True),
        ({"unknown": True}, True),
        ({"withheld": "DANGER"}, True),
        ("words that a correction put there", True),
        ({"not_applicable": True}, False),
    ],
)
def test_an_office_that_would_see_it_waits_for_a_second_person(stated: Any, held: bool) -> None:
    """Unknown is never read as none; what does not apply binds nobody."""
    found = [(one.rule, one.code, one.level, one.where) for one in passed_on(JOINS, (_said(stated),), FI)]
    expected = [("R-03", "undisclosed-passed-on", Level.HOLD, "/changes/0/office")]
    assert found == (expected if held else [])


def test_only_the_other_sides_word_holds_and_only_who_joins_is_held() -> None:
    """Our own determination is ours to lift, an office that leaves learns nothing, and the next office is looked at too."""
    leaves = {"changes": [{"change": "LEAVES", "office": {"name": "Test-Amet"}}]}
    forward = {"forwarded_to": {"name": "Test-Amet"}}
    assert not list(passed_on(JOINS, (_said(DETERMINED, by=EE),), FI))
    assert not list(passed_on(leaves, (_said(DETERMINED),), FI))
    assert not list(passed_on(JOINS, (), FI))
    assert [one.where for one in passed_on(forward, (_said(DETERMINED),), FI)] == ["/forwarded_to"]


def test_every_answer_that_may_determine_is_read() -> None:
    """The list is what the schemas say: every message with that member is read for good, as a request or by this list."""
    able = {
        kind
        for kind in load_catalogue().types()
        if (path := ROOT / "messages" / kind.procedure / kind.act / "1.0.json").exists()
        and '"/parts/non-disclosure.json"' in path.read_text("utf-8")
    }
    requests = {kind for kind in able if kind.act in {"request", "invitation", "notice"}}
    assert {kind for kind in load_catalogue().types() if determines(kind)} == able - requests
