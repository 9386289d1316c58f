# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What notices of events elsewhere refuse, where the meaning is at stake, and how their procedure goes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.deadlines import DeadlineKind
from broker.core.ids import SchemaVersion
from broker.core.procedures import ActKind, Role, Silence, start, step

V1 = SchemaVersion("1.0")
A, B = Role.REQUESTING, Role.REQUESTED
Examples = Mapping[str, dict[str, Any]]
NOTICES = ("proceedings", "asylum", "police", "consular", "complaint", "remedy", "interview")

CASES: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "a notice without the claim to protection could reach the wrong State": (
        "notice/asylum-tracing-form-sent.json",
        lambda body: body.pop("protection_claim"),
        "/body/protection_claim",
    ),
    "the content of the file does not travel": (
        "notice/police-alert-entered.json",
        lambda body: body["file"].update(content="Statement of a witness"),
        "/body/file",
    ),
    "who holds the file is always said": (
        "notice/proceedings-custody-pending.json",
        lambda body: body["file"].pop("holder"),
        "/body/file/holder",
    ),
    "another channel is written out": (
        "notice/complaint-other-interpreter.json",
        lambda body: body["file"].pop("how_to_ask"),
        "/body/file/how_to_ask",
    ),
    "an undecided consular notification has a day to decide": (
        "notice/consular-not-decided-yet.json",
        lambda body: body.update(decide_by={"unknown": True}),
        "/body/decide_by/value",
    ),
    "a suspensive remedy suspends": (
        "notice/remedy-appeal-stops-the-transfer.json",
        lambda body: body.update(suspensive="NO"),
        "/body/suspensive",
    ),
    "a remedy that is not suspensive suspends nothing": (
        "notice/remedy-against-taking-over.json",
        lambda body: body.update(suspensive="YES"),
        "/body/suspensive",
    ),
    "whether a remedy suspends may not be left open by leaving it out": (
        "notice/remedy-against-taking-over.json",
        lambda body: body.pop("suspensive"),
        "/body/suspensive",
    ),
    "another complaint is written out": (
        "notice/complaint-other-interpreter.json",
        lambda body: body.pop("note"),
        "/body/note",
    ),
    "a conditional opinion has words": (
        "notice/opinion-conditions.json",
        lambda body: body.update(words={"unknown": True}),
        "/body/words/value",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_meaning_is_refused_at_its_place(spoilt: Callable[..., list[str]], case: str) -> None:
    """The example is valid; the same with one thing missing or contradicted is not, and the place is named."""
    path, change, pointer = CASES[case]

    assert pointer in spoilt(path, change)


@pytest.mark.parametrize(
    ("basis", "missing"), [("R3011_7", "opinion"), ("R3011_8", "request_received_on")], ids=lambda value: str(value)
)
def test_a_criminal_transfer_says_what_its_clock_or_opinion_needs(
    catalogue: Catalogue, examples: Examples, basis: str, missing: str
) -> None:
    """R3011 7 and 8: without the day, or the office that takes the opinion, the notice cannot rest on that basis."""
    data = copy.deepcopy(examples["notice/proceedings-criminal-transfer-opinion.json"])
    data["legal_basis"]["code"] = basis
    assert catalogue.explain_submission(data) == ()
    del data["body"][missing]

    assert [problem.pointer for problem in catalogue.explain_submission(data)] == ["/legal_basis/code"]


def test_silence_on_a_notice_is_read_by_its_basis(catalogue: Catalogue) -> None:
    """R-08: acceptance by silence exists in the asylum procedure alone, and even that never takes effect here."""
    bases = catalogue.table("notice").bases

    assert [code for code, basis in bases.items() if basis.silence is not Silence.NO_ANSWER] == ["AMMR_48"]
    assert bases["AMMR_48"].silence is Silence.ACCEPTED_ELSEWHERE
    assert {code for code, basis in bases.items() if basis.notice_only} == {
        "AMMR_23_6", "AMMR_48", "IR2055_11", "R3011_7", "R3011_8",
    }  # fmt: skip


def test_events_elsewhere_are_facts_and_can_always_be_told(catalogue: Catalogue) -> None:
    """A notice after the end opens the matter again; the other side's own notice moves nothing."""
    table = catalogue.table("notice")
    assert {name for name, act in table.acts.items() if act.kind is ActKind.FACT} == set(NOTICES)
    for name in NOTICES:
        state = start(table)
        for act, role, expected in (
            (name, A, "NOTIFIED"), ("acknowledgement", B, "NOTED"), ("remedy", B, "NOTED"),
            ("closure", A, "CLOSED"), (name, A, "NOTIFIED"), ("withdrawal", A, "WITHDRAWN"), (name, A, "WITHDRAWN"),
        ):  # fmt: skip
            after = step(table, state, act, role)
            assert after is not None, (name, act)
            state = after
            assert (state.name, state.alarmed) == (expected, False), (name, act)


def test_only_what_a_law_counts_is_statutory(catalogue: Catalogue) -> None:
    """The clocks of other channels are shown with their law; what the product proposes is never called law."""
    table = catalogue.table("notice")

    assert {item.id for item in table.deadlines if item.kind is DeadlineKind.STATUTORY} == {
        "proceedings-acknowledge", "proceedings-decide", "asylum-answer", "remedy-open",
    }  # fmt: skip
    assert {item.id for item in table.deadlines if item.holds("R3011_8", None) and item.act == "proceedings"} == {
        "note-proceedings", "opinion", "proceedings-acknowledge", "proceedings-decide",
    }  # fmt: skip
