# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Every claim of the demonstration falls when its evidence is missing or different."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.demo.checks import ACTS, AUTHOR_STEPS, CHECKS, RECIPIENT_STEPS, judge
from broker.demo.evidence import Evidence, Landed, Line, Onlooker, Sent, Side
from broker.demo.report import Report, document, told

REFUSED = ("not-for-us", "unknown-recipient-key", "decrypt-failed")


def _line(sent: Sent, step: str, minute: int) -> Line:
    who = sent.author if step in {"recorded", "published"} else sent.recipient
    at = f"2026-11-22T12:{minute:02d}:{AUTHOR_STEPS.index(step):02d}.000Z"
    return Line(at=at, who=who, what=f"family-tracing.{sent.act}", state=step, evidence="signed", message=sent.message)


def _side(country: str, sent: tuple[Sent, ...]) -> Side:
    lines = [
        _line(one, step, minute)
        for minute, one in enumerate(sent)
        for step in (AUTHOR_STEPS if one.author == country else RECIPIENT_STEPS)
    ]
    return Side(
        country=country,
        digest="d" * 64,
        state="ANSWERED",
        alarm=False,
        gap=False,
        messages=tuple(one.digest for one in sent),
        timeline=tuple(lines),
        attention=(),
    )


@pytest.fixture
def good() -> Evidence:
    """Evidence of a demonstration that went well."""
    sent = tuple(
        Sent(act=act, author="FI" if number else "EE", recipient="EE" if number else "FI",
             message=f"m{number}", digest=f"{number}" * 64)
        for number, act in enumerate(ACTS)
    )  # fmt: skip
    return Evidence(
        sent=sent,
        requesting=_side("EE", sent),
        requested=_side("FI", sent),
        landed=(Landed(message="m0", digest="0" * 64),),
        onlooker=Onlooker(
            country="SE", messages=0, seen=0, held=0, waiting=0, procedure_status=404,
            opening=dict.fromkeys(ACTS, REFUSED), reading="refused",
        ),
    )  # fmt: skip


def test_good_evidence_proves_every_claim(good: Evidence):
    """Nothing is wrong with what went well."""
    assert [outcome.problem for outcome in judge(good)] == [None] * len(CHECKS)


def test_nothing_is_claimed_of_an_account_where_there_is_none(good: Evidence):
    """Over the spool all but one are claimed: whoever may write a shared folder could take another's files from it."""
    spool = replace(good, onlooker=replace(good.onlooker, reading="not-applicable"))
    claims = [claim for claim, _ in CHECKS]
    assert [outcome.claim for outcome in judge(spool)] == [claim for claim in claims if "account" not in claim]
    assert {outcome.problem for outcome in judge(spool)} == {None}


def _sides(evidence: Evidence, **change: object) -> Evidence:
    return replace(evidence, requested=replace(evidence.requested, **change))


def _without(evidence: Evidence, country: str, message: str, state: str) -> Evidence:
    name = "requesting" if country == "EE" else "requested"
    side: Side = getattr(evidence, name)
    left = tuple(line for line in side.timeline if (line.message, line.state) != (message, state))
    assert len(left) == len(side.timeline) - 1
    return replace(evidence, **{name: replace(side, timeline=left)})


def _changed(evidence: Evidence, country: str, message: str, state: str, /, **change: object) -> Evidence:
    name = "requesting" if country == "EE" else "requested"
    side: Side = getattr(evidence, name)
    lines = tuple(
        replace(line, **change) if (line.message, line.state) == (message, state) else line for line in side.timeline
    )
    assert lines != side.timeline
    return replace(evidence, **{name: replace(side, timeline=lines)})


def _seen(evidence: Evidence, **change: object) -> Evidence:
    return replace(evidence, onlooker=replace(evidence.onlooker, **change))


FALSIFIED: dict[str, tuple[Callable[[Evidence], Evidence], str]] = {
    "nothing was sent": (lambda e: replace(e, sent=()), "accepted"),
    "the result was never sent": (lambda e: replace(e, sent=e.sent[:2]), "accepted"),
    "the answers came in another order": (lambda e: replace(e, sent=(e.sent[0], e.sent[2], e.sent[1])), "accepted"),
    "the digests differ": (lambda e: _sides(e, digest="e" * 64), "digests are equal"),
    "a digest differs in its last character": (lambda e: _sides(e, digest="d" * 63 + "e"), "digests are equal"),
    "a side has no digest": (lambda e: _sides(e, digest=None), "digests are equal"),
    "both sides have no digest": (
        lambda e: replace(_sides(e, digest=None), requesting=replace(e.requesting, digest=None)), "digests are equal",
    ),
    "a message is missing on one side": (lambda e: _sides(e, messages=e.requested.messages[:2]), "exactly these"),
    "a message too many is on one side": (lambda e: _sides(e, messages=(*e.requested.messages, "9" * 64)), "exactly these"),
    "one side holds another message": (lambda e: _sides(e, messages=(*e.requested.messages[:2], "9" * 64)), "exactly these"),
    "a gap": (lambda e: _sides(e, gap=True), "same state"),
    "an alarm": (lambda e: _sides(e, alarm=True), "same state"),
    "a call for attention": (lambda e: _sides(e, attention=("divergence",)), "same state"),
    "another state": (lambda e: _sides(e, state="OPEN"), "same state"),
    **{
        f"the author lacks {state} of {message}": (
            lambda e, m=message, s=state, c=author: _without(e, c, m, s), "every sender",
        )
        for message, author in (("m0", "EE"), ("m1", "FI"), ("m2", "FI")) for state in AUTHOR_STEPS
    },
    **{
        f"the recipient lacks {state} of {message}": (
            lambda e, m=message, s=state, c=recipient: _without(e, c, m, s), "every recipient",
        )
        for message, recipient in (("m0", "FI"), ("m1", "EE"), ("m2", "EE")) for state in RECIPIENT_STEPS
    },
    "evidence by the wrong country": (lambda e: _changed(e, "EE", "m0", "opened", who="SE"), "every sender"),
    "a step without evidence": (lambda e: _changed(e, "EE", "m0", "opened", evidence=""), "every sender"),
    "opened before delivered": (lambda e: _changed(e, "EE", "m0", "opened", at="2026-11-22T11:00:00.000Z"), "every sender"),
    "the answer before the question": (
        lambda e: _changed(e, "FI", "m1", "recorded", at="2026-11-22T11:00:00.000Z"), "in order",
    ),
    "no timeline at all": (lambda e: replace(e, requesting=replace(e.requesting, timeline=())), "in order"),
    "nothing landed": (lambda e: replace(e, landed=()), "landed once"),
    "it landed twice": (lambda e: replace(e, landed=e.landed * 2), "landed once"),
    "another content landed": (lambda e: replace(e, landed=(Landed(message="m0", digest="9" * 64),)), "landed once"),
    "the third country holds a message": (lambda e: _seen(e, messages=1), "saw nothing"),
    "the third country's node saw a delivery": (lambda e: _seen(e, seen=1), "saw nothing"),
    "the third country quarantined an envelope": (lambda e: _seen(e, held=1), "saw nothing"),
    "an envelope waits for the third country": (lambda e: _seen(e, waiting=1), "saw nothing"),
    "the third country's API shows the procedure": (lambda e: _seen(e, procedure_status=200), "knows nothing"),
    "the third country's API refuses instead of not knowing": (lambda e: _seen(e, procedure_status=403), "knows nothing"),
    "the third country's keys open the request": (
        lambda e: _seen(e, opening={**e.onlooker.opening, "request": (*REFUSED[:2], "opened")}), "keys open none",
    ),
    "the third country holds the key": (
        lambda e: _seen(e, opening={**e.onlooker.opening, "result": (REFUSED[0], "opened", REFUSED[2])}), "keys open none",
    ),
    "no key of the third country was tried": (
        lambda e: _seen(e, opening={**e.onlooker.opening, "result": REFUSED[:2]}), "keys open none",
    ),
    "one sealed message was not tried": (lambda e: _seen(e, opening={"request": REFUSED}), "keys open none"),
    "the third country's account reads another's queue": (lambda e: _seen(e, reading="read"), "cannot fetch"),
}  # fmt: skip


@pytest.mark.parametrize("name", FALSIFIED)
def test_a_falsified_demonstration_fails_by_its_claim(good: Evidence, name: str):
    """The claim that the changed evidence belongs to has a problem, and the report does not hold."""
    falsify, claim = FALSIFIED[name]
    outcomes = judge(falsify(good))

    assert [outcome for outcome in outcomes if claim in outcome.claim and outcome.problem is not None]
    assert not _report(falsify(good)).holds


def test_every_claim_is_falsified_at_least_once():
    """No check is without a case that makes it fail."""
    claims = [claim for claim, _ in CHECKS]

    assert all(any(part in claim for _, part in FALSIFIED.values()) for claim in claims)


def test_the_published_note_may_come_late(good: Evidence):
    """The sender notes the confirmation after the recipient may have stored the message; that is no disorder."""
    late = _changed(good, "EE", "m0", "published", at="2026-11-22T12:59:00.000Z")

    assert [outcome.problem for outcome in judge(late)] == [None] * len(CHECKS)


def _report(evidence: Evidence) -> Report:
    return Report(
        scenario="family-tracing", transport="spool", folder="/tmp/x", seconds=1.25,
        evidence=evidence, outcomes=judge(evidence),
    )  # fmt: skip


def test_the_document_has_what_scripts_need(good: Evidence):
    """Scenario, transport, a digest and a number of messages per country, equality, timeline, checks."""
    shown = document(_report(good))

    assert shown["nodes"] == [
        {"country": "EE", "digest": "d" * 64, "messages": 3},
        {"country": "FI", "digest": "d" * 64, "messages": 3},
        {"country": "SE", "digest": None, "messages": 0},
    ]
    assert (shown["scenario"], shown["transport"], shown["equal"], shown["passed"]) == (
        "family-tracing",
        "spool",
        True,
        True,
    )
    assert len(shown["checks"]) == len(CHECKS)
    assert document(_report(_sides(good, digest="e" * 64)))["equal"] is False


def test_the_story_tells_each_step_once_in_the_order_of_time(good: Evidence):
    """What both sides show is told once; every step of every message is there."""
    story = told(good)

    assert len(story) == len(ACTS) * len(AUTHOR_STEPS)
    assert [line.at for line in story] == sorted(line.at for line in story)


def test_a_report_without_checks_holds_nothing(good: Evidence):
    """Silence proves nothing."""
    assert not replace(_report(good), outcomes=()).holds
