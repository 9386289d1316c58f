# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-30: an enquiry that went further than was allowed is seen by a second person, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from broker.core.enquiry import says_manner, too_far, wider_than_asked
from broker.core.ids import CountryCode, Digest, MessageType
from broker.core.reasons import Earlier, Level
from broker.schema_files import load_catalogue

ROOT = Path(__file__).parents[3] / "schemas"
EE, FI = CountryCode("EE"), CountryCode("FI")
RESULT = MessageType("family-tracing.result")


def _asked(approach: Any, **persons: str) -> dict[str, Any]:
    sought = [{"person": key, "approach": bound} for key, bound in persons.items()]
    return {"approach": approach, "persons_sought": sought}


def _answer(**manners: str) -> dict[str, Any]:
    return {"answers": [{"person": key, "manner_used": manner} for key, manner in manners.items()]}


@pytest.mark.parametrize(
    ("asked", "answered", "wider"),
    [
        (_asked("DISCREET", P1="DISCREET"), _answer(P1="RECORDS_ONLY"), ()),
        (_asked("DISCREET", P1="DISCREET"), _answer(P1="DISCREET"), ()),
        (_asked("DISCREET", P1="DISCREET"), _answer(P1="CONTACT_ALLOWED"), ("/answers/0/manner_used",)),
        (_asked("CONTACT_ALLOWED", P1="CONTACT_ALLOWED", P2="RECORDS_ONLY"), _answer(P1="CONTACT_ALLOWED"), ()),
        (_asked("CONTACT_ALLOWED", P1="RECORDS_ONLY"), _answer(P1="DISCREET"), ("/answers/0/manner_used",)),
        (_asked("RECORDS_ONLY", P1="CONTACT_ALLOWED"), _answer(P1="CONTACT_ALLOWED"), ()),
        (_asked("RECORDS_ONLY"), _answer(P7="DISCREET"), ("/answers/0/manner_used",)),
        (_asked("ASK_SENDER_FIRST"), _answer(P1="RECORDS_ONLY"), ()),
        (_asked("ASK_SENDER_FIRST"), _answer(P1="DISCREET"), ("/answers/0/manner_used",)),
        (_asked({"text": "a correction made words of it"}), _answer(P1="DISCREET"), ("/answers/0/manner_used",)),
        (_asked("RECORDS_ONLY"), _answer(P1="NO_ENQUIRY"), ()),
    ],
)
def test_an_answer_is_held_against_what_was_asked(asked: Any, answered: Any, wider: tuple[str, ...]) -> None:
    """The person's own bound goes before that of the request; asking first allows records alone."""
    assert wider_than_asked(answered, [asked]) == wider


def test_the_newest_request_counts_and_a_message_without_a_bound_binds_nothing() -> None:
    """A later request may allow more; where nobody asked, nothing is too far."""
    answer = _answer(P1="CONTACT_ALLOWED")
    assert wider_than_asked(answer, [_asked("RECORDS_ONLY"), {}, _asked("CONTACT_ALLOWED")]) == ()
    assert wider_than_asked(answer, []) == wider_than_asked(answer, [{"note": "x"}]) == ()


def test_each_finding_has_its_own_manner_and_only_the_askers_word_binds() -> None:
    """A discreet enquiry with one finding by contact is found at that finding; our own earlier requests bind nobody."""
    body = json.loads((ROOT / "examples/family-tracing/result-found-not-safe.json").read_text("utf-8"))["body"]
    key = body["answers"][0]["person"]
    request = Earlier(
        type=MessageType("family-tracing.request"), digest=Digest("a" * 64), author=EE,
        body=_asked("DISCREET", **{key: "DISCREET"}),
    )  # fmt: skip

    found = list(too_far(RESULT, body, (request,), EE))

    assert {(one.rule, one.code, one.level) for one in found} == {("R-30", "wider-than-asked", Level.HOLD)}
    assert [one.where for one in found] == [
        f"/answers/0/findings/{name}/value/manner_used" for name in ("identity", "relation")
    ]
    assert not list(too_far(RESULT, body, (request,), FI))
    assert not list(too_far(MessageType("family-tracing.status"), body, (request,), EE))


def test_every_type_that_says_a_manner_is_judged() -> None:
    """The list is what the schemas say: who reaches the code list of manners, by whatever part."""
    reached = {kind for kind in load_catalogue().types() if _reaches(_schema(kind), "/codes/manner-used.json")}
    assert {kind for kind in load_catalogue().types() if says_manner(kind)} == reached


def _schema(kind: MessageType) -> str:
    path = ROOT / "messages" / kind.procedure / kind.act / "1.0.json"
    return path.read_text("utf-8") if path.exists() else "{}"


def _reaches(text: str, wanted: str) -> bool:
    seen, waiting = set[str](), [text]
    while waiting:
        for name in _references(json.loads(waiting.pop())) - seen:
            seen.add(name)
            waiting.append((ROOT / name.lstrip("/")).read_text("utf-8"))
    return wanted in seen


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set[str]().union(*map(_references, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if str(node.get("$ref", "")).startswith("/") else set[str]()
    return own.union(*map(_references, node.values()))
