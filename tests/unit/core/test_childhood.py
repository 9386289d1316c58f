# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who may be a child is treated as one, and what only a child can be asked about ends on the day of majority."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.core.childhood import childhood
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageType
from broker.core.messages import ValidMessage
from broker.core.reasons import Earlier
from broker.core.safeguards import Held, decide, weighs_for_good
from broker.core.sides import Side, Sides
from broker.testing.valid_messages import valid_message

EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD, COUNTY = AuthorityId("board"), AuthorityId("county")


def _message(kind: str, body: Any, *, basis: str = "B2B_82") -> ValidMessage:
    return valid_message(kind, body, basis=basis)


def _sides(*, opening: bool = False) -> Sides:
    here, there = Side(country=EE, office=BOARD), Side(country=FI, office=COUNTY)
    return Sides(here=here, there=there, opening=opening, day=date(2026, 11, 22))


def _told(*children: Any) -> tuple[Earlier, ...]:
    kind = MessageType("transfer.plan")
    return tuple(
        Earlier(type=kind, digest=Digest(f"{n}" * 64), author=EE, body={"child": child})
        for n, child in enumerate(children, 1)
    )


def _found(message: ValidMessage, earlier: tuple[Earlier, ...], *, opening: bool = False) -> list[str]:
    return [f"{one.level.value} {one.code}" for one in childhood(message, earlier, _sides(opening=opening))]


def _born(day: str, **more: Any) -> dict[str, Any]:
    return {"birth": {"value": {"date": day, "estimated": False, **more}}}


GROWN, YOUNG = _born("2008-11-22"), _born("2008-11-23")
ESTIMATED = _born("2008-11-22", estimated=True)
ASSESSED = _born("2008-11-22", age_assessment={"method": "x", "result": "y"})


@pytest.mark.parametrize(
    ("kind", "basis", "child", "opening", "expected"),
    [
        ("child-information.request", "B2B_80", GROWN, True, ["block of-age"]),
        ("child-information.request", "B2B_80", YOUNG, True, []),
        ("child-information.request", "ATD_11_4", GROWN, True, []),
        ("child-information.status", "B2B_80", GROWN, False, ["warn turned-of-age"]),
        ("transfer.departure", "B2B_82", GROWN, False, ["block of-age"]),
    ],
)
def test_what_only_a_child_can_be_asked_about_ends_on_the_day_of_majority(
    kind: str, basis: str, child: dict[str, Any], opening: bool, expected: list[str]
) -> None:
    """R-36: nothing new is opened and nobody is moved; what is under way may still be answered and closed."""
    message = _message(kind, {}, basis=basis)
    assert _found(message, _told(child), opening=opening) == expected
    assert not any("2008" in one.text for one in childhood(message, _told(child), _sides(opening=opening)))


@pytest.mark.parametrize("doubt", [ESTIMATED, ASSESSED, YOUNG], ids=["estimated", "assessed", "a child"])
@pytest.mark.parametrize("doubted_first", [True, False])
def test_a_doubt_in_any_message_leaves_somebody_presumed_a_child(doubt: dict[str, Any], doubted_first: bool) -> None:
    """R-15, R-36: a newer certain birth lifts no older doubt, as an older one does not stand against a newer doubt."""
    told = (doubt, GROWN) if doubted_first else (GROWN, doubt)
    unsaid = {"named": {"birth": {"unknown": True}}}
    assert _found(_message("transfer.departure", {}), _told(*told, unsaid, {"pseudonym": {}})) == []
    assert _found(_message("transfer.departure", {}), _told(GROWN, GROWN)) == ["block of-age"]


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (GROWN, ESTIMATED, ["hold age-not-decided"]),
        (GROWN, ASSESSED, ["hold age-not-decided"]),
        (GROWN, YOUNG, ["hold age-not-decided"]),
        (ESTIMATED, YOUNG, []),
        (YOUNG, ESTIMATED, []),
        (GROWN, {"birth": {"unknown": True}}, ["block of-age"]),
        (GROWN, GROWN, ["block of-age"]),
    ],
)
def test_no_message_makes_an_adult_of_who_may_be_a_child_unseen(now: Any, before: Any, expected: list[str]) -> None:
    """R-15: a second person releases it, and names the decision; what makes younger or was never known needs none."""
    assert _found(_message("transfer.plan", {"child": now}), _told(before)) == expected


def test_whoever_is_treated_as_a_child_becomes_no_adult_by_another_certain_birth() -> None:
    """R-15: that word stands against every birth that was told before it and after it, until the next decision."""
    treated = Earlier(
        type=MessageType("identity.reply"), digest=Digest("d" * 64), author=FI, body={"treated_as_child": "YES"}
    )  # fmt: skip
    another = _message("transfer.plan", {"child": _born("2001-01-01")})
    assert _found(another, _told(GROWN)) == ["block of-age"]
    assert _found(another, (*_told(GROWN), treated)) == ["hold age-not-decided"]


def test_a_correction_makes_no_adult_either_and_a_mended_slip_of_the_pen_makes_a_child_at_once() -> None:
    """R-15: the corrected birth is judged like a new one, and lifts no doubt although a second person released it."""
    child = _told(_born("2010-05-03"))
    field = {"pointer": "/child/birth/value/date", "now": {"value": "2001-05-03"}}
    mended = {"target": child[0].digest, "fields": [field]}
    assert _found(_message("transfer.correction", mended), child) == ["hold age-not-decided"]
    released = Earlier(type=MessageType("transfer.correction"), digest=Digest("e" * 64), author=EE, body=mended)
    assert _found(_message("transfer.departure", {}), (*child, released)) == []

    back = {"target": child[0].digest, "fields": [{**field, "now": {"value": "2010-05-03"}}]}
    grown = _told(_born("2001-05-03"))
    assert _found(_message("transfer.correction", back), grown) == []
    sent = Earlier(type=MessageType("transfer.correction"), digest=Digest("f" * 64), author=EE, body=back)
    assert _found(_message("transfer.departure", {}), (*grown, sent)) == []
    assert _found(_message("transfer.departure", {}), grown) == ["block of-age"]


def test_a_correction_that_names_the_decision_lifts_the_presumption() -> None:
    """R-15, R-36: then what makes an adult leaves, and what is for children only ends."""
    theirs = Earlier(type=MessageType("transfer.acceptance"), digest=Digest("c" * 64), author=FI, body={})
    decided = Earlier(
        type=MessageType("transfer.correction"), digest=Digest("f" * 64), author=FI,
        body={"age_decision": {}, "target": theirs.digest},
    )  # fmt: skip
    told = (*_told(ESTIMATED), theirs)
    assert _found(_message("transfer.status", {"child": GROWN}), (*told, decided)) == ["warn turned-of-age"]
    assert _found(_message("transfer.departure", {}), (*told, decided)) == []
    assert _found(_message("transfer.departure", {}), (*told, decided, *_told({}, GROWN)[1:])) == ["block of-age"]

    field = {"pointer": "/child/birth/value/date", "now": {"value": "2001-05-03"}}
    young = _told(_born("2010-05-03"))
    mended = {"target": young[0].digest, "fields": [field], "age_decision": {}}
    assert _found(_message("transfer.correction", mended), young) == ["warn turned-of-age"]


def test_nobody_decides_on_age_by_correcting_what_another_side_said() -> None:
    """R-15: nor what is not here; whoever knows of a decision says so of a message of its own."""
    ours = _told(YOUNG, GROWN)
    for target in (ours[0].digest, "9" * 64):
        named = {"target": target, "age_decision": {}}
        decided = Earlier(type=MessageType("transfer.correction"), digest=Digest("f" * 64), author=FI, body=named)
        assert _found(_message("transfer.departure", {}), (*ours, decided)) == []
    own = Earlier(type=MessageType("transfer.correction"), digest=Digest("f" * 64), author=EE, body=named)
    assert _found(_message("transfer.departure", {}), (*ours, own)) == []
    own = Earlier(
        type=own.type, digest=own.digest, author=EE, body={"target": ours[0].digest, "age_decision": {}}
    )  # fmt: skip
    assert _found(_message("transfer.departure", {}), (*ours, own)) == ["block of-age"]


@pytest.mark.parametrize(
    ("kind", "body", "by", "lasts"),
    [
        ("transfer.correction", {"kind": "RECTIFY", "fields": [{"pointer": "/age_decision", "now": {"unknown": True}}]}, FI, False),
        ("transfer.correction", {"kind": "RESTRICT"}, FI, False),
        ("transfer.correction", {"kind": "ERASE"}, FI, False),
        ("correction.erase", {}, FI, False),
        ("correction.restrict", {}, FI, False),
        ("transfer.correction", {"kind": "UNRESTRICT"}, FI, True),
        ("transfer.correction", {"kind": "RECTIFY", "fields": [{"pointer": "/reason", "now": {"value": "x"}}]}, FI, True),
        ("transfer.correction", {"kind": "ERASE"}, EE, True),
        ("correction.access-forward", {}, FI, True),
    ],
)  # fmt: skip
def test_a_decision_on_age_lasts_until_its_author_says_that_it_fell(
    kind: str, body: Any, by: CountryCode, lasts: bool
) -> None:
    """R-15: then the person is presumed a child again, in a procedure in which nobody answers a question on identity."""
    theirs = Earlier(type=MessageType("transfer.acceptance"), digest=Digest("c" * 64), author=FI, body={})
    decided = Earlier(
        type=MessageType("transfer.correction"), digest=Digest("e" * 64), author=FI,
        body={"age_decision": {}, "target": theirs.digest},
    )  # fmt: skip
    fell = Earlier(type=MessageType(kind), digest=Digest("f" * 64), author=by, body={**body, "target": decided.digest})
    told = (*_told(ESTIMATED), theirs, decided, *_told({}, GROWN)[1:])
    assert _found(_message("transfer.departure", {}), told) == ["block of-age"]
    assert _found(_message("transfer.departure", {}), (*told, fell)) == (["block of-age"] if lasts else [])


def test_no_message_that_tells_an_age_is_ever_too_old_to_be_read() -> None:
    """R-15: a doubt, or the decision that lifts it, counts however many messages came after it."""
    messages = Path(__file__).parents[3] / "schemas" / "messages"
    schemas = [json.loads(path.read_text(encoding="utf-8")) for path in messages.glob("*/*/*.json")]
    telling = {one["x-trm-type"] for one in schemas if {"child", "age_decision"} & one.get("properties", {}).keys()}
    assert "identity.reply" in telling
    assert [kind for kind in sorted(telling) if not weighs_for_good(MessageType(kind))] == []


def test_the_rule_is_asked_before_a_message_leaves() -> None:
    """A second person decides about it like about every hold."""
    decision = decide(_message("transfer.status", {"child": GROWN}), _told(ESTIMATED), _sides())
    assert isinstance(decision, Held)
    assert [one.code for one in decision.reasons if one.rule == "R-15"] == ["age-not-decided"]
