# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Jurisdiction and urgent measures: one court at a time has the child's case, and no protection ends unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.deadlines import DeadlineKind
from broker.core.ids import MessageType, SchemaVersion
from broker.core.procedures import Role, Silence, State, start, step

V1 = SchemaVersion("1.0")
A, B = Role.REQUESTING, Role.REQUESTED
Examples = Mapping[str, dict[str, Any]]
Change = Callable[[dict[str, Any]], Any]
REQUEST = "jurisdiction/request-take-over-the-case.json"
NOTICE = "urgent-measures/notice-greenhouse.json"
LAPSED = "urgent-measures/lapsed-competent-court-acted.json"
UNKNOWN = {"unknown": True}

CASES: dict[str, tuple[str, Change, str]] = {
    "a request without a connection": (REQUEST, lambda body: body.update(connections=[]), "/body/connections"),
    "a request without reasons": (REQUEST, lambda body: body.pop("reasons"), "/body/reasons"),
    "a part of a case that is not written out": (REQUEST, lambda body: body.update(scope="PART"), "/body/note"),
    "an invitation without a day": (
        "jurisdiction/invitation-until-november.json", lambda body: body.pop("parties_until"), "/body/parties_until",
    ),
    "an acceptance of nothing in particular": (
        "jurisdiction/reply-accepted.json", lambda body: body.pop("about"), "/body/about",
    ),
    "a court declines on a ground": (
        "jurisdiction/declined-not-better-placed.json", lambda body: body.pop("ground"), "/body/ground",
    ),
    "a case that is let go to nobody": (
        "jurisdiction/relinquished-with-the-file.json", lambda body: body.pop("to"), "/body/to",
    ),
    "urgent measures that nobody took": (NOTICE, lambda body: body.update(measures=[]), "/body/measures"),
    "an urgent measure without its day": (NOTICE, lambda body: body["measures"][0].pop("on"), "/body/measures/0/on"),
    "the place of shelter in the open": (
        NOTICE, lambda body: body.update(whereabouts={"place": {"country": "NL"}}), "/body/whereabouts",
    ),
    "measures that end without a word on the child's care": (
        LAPSED, lambda body: body.pop("care_from_now"), "/body/care_from_now",
    ),
    "a court that has acted in no way": (LAPSED, lambda body: body.update(replaced_by=UNKNOWN), "/body/replaced_by/value"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_meaning_is_refused_at_its_place(spoilt: Callable[..., list[str]], case: str) -> None:
    """The example is valid; the same with one thing missing or contradicted is not, and the place is named."""
    path, change, pointer = CASES[case]

    assert pointer in spoilt(path, change)


def test_the_parties_are_invited_on_two_bases_alone(catalogue: Catalogue) -> None:
    """B2b 12 and H96 8 know an invitation; a court that asks for a case writes to the other court itself."""
    assert set(catalogue.bases(MessageType("jurisdiction.invitation"))) == {"B2B_12", "H96_8"}
    assert set(catalogue.bases(MessageType("jurisdiction.request"))) == {"B2B_12", "B2B_13", "H96_8", "H96_9"}


def test_no_silence_moves_a_case(catalogue: Catalogue) -> None:
    """B2b 12: the first court goes on; B2b 13: the court that asked has none; H96: nothing without an acceptance."""
    table = catalogue.table("jurisdiction")

    assert {basis.silence for basis in table.bases.values()} == {Silence.NOT_CONSENT}
    assert all(item.silence.startswith("No acceptance is no transfer") for item in table.deadlines)


def test_six_and_seven_weeks_are_law_in_the_regulation_alone(catalogue: Catalogue) -> None:
    """Each basis has its own clock; what H96 does not say is marked as the product's proposal."""
    table = catalogue.table("jurisdiction")
    by_law = {item.id: item for item in table.deadlines if item.kind is DeadlineKind.STATUTORY}

    assert {name: (item.limit.unit, item.limit.count, sorted(item.basis)) for name, item in by_law.items()} == {
        "accept-b2b-12": ("weeks", 6, ["B2B_12"]),
        "accept-b2b-12-seised": ("weeks", 6, ["B2B_12"]),
        "accept-b2b-13": ("weeks", 6, ["B2B_13"]),
        "go-on-b2b-12": ("weeks", 7, ["B2B_12"]),
        "go-on-b2b-12-parties": ("weeks", 7, ["B2B_12"]),
    }
    assert by_law["go-on-b2b-12-parties"].stated_at == "/parties_until"
    assert all(item.kind is DeadlineKind.PRODUCT_DEFAULT for item in table.deadlines if item.id not in by_law)


ASKED = [("request", A), ("acknowledgement", B)]
INVITED = [("invitation", A)]
WALKS: dict[str, tuple[str, list[tuple[str, Role]], str]] = {
    "accepted and let go": ("jurisdiction", [*ASKED, ("reply", B), ("relinquished", A)], "RELINQUISHED"),
    "under article 13 the other side lets go": ("jurisdiction", [*ASKED, ("reply", B), ("relinquished", B)], "RELINQUISHED"),
    "no acceptance, and the court goes on": ("jurisdiction", [*ASKED, ("continued", A)], "CONTINUED"),
    "declined, and the court goes on": ("jurisdiction", [*ASKED, ("declined", B), ("continued", A)], "CONTINUED"),
    "the parties seise the other court": (
        "jurisdiction", [*INVITED, ("seised", B), ("reply", B), ("relinquished", A)], "RELINQUISHED",
    ),
    "the parties do not": ("jurisdiction", [*INVITED, ("continued", A)], "CONTINUED"),
    "a decline is looked at again": ("jurisdiction", [*ASKED, ("declined", B), ("reopening", A), ("reply", B)], "ACCEPTED"),
    "urgent measures end with the competent court's own": (
        "urgent-measures", [("notice", A), ("acknowledgement", B), ("lapsed", B)], "LAPSED",
    ),
    "further urgent measures are told again": (
        "urgent-measures", [("notice", A), ("acknowledgement", B), ("notice", A)], "NOTIFIED",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WALKS)
def test_the_table_allows_the_casework(ends: Callable[..., str | None], case: str) -> None:
    """Each sequence of acts ends where casework says."""
    procedure, steps, end = WALKS[case]

    assert ends(procedure, steps) == end


@pytest.mark.parametrize(
    "steps",
    [
        [*ASKED, ("reply", B), ("continued", A)],
        [*ASKED, ("relinquished", A)],
        [*ASKED, ("declined", B), ("relinquished", A)],
        [*ASKED, ("continued", A), ("relinquished", A)],
    ],
    ids=["two courts would have it", "let go before an acceptance", "let go though declined", "gone on and let go"],
)
def test_two_courts_or_none_is_an_alarm(catalogue: Catalogue, steps: list[tuple[str, Role]]) -> None:
    """The last fact is not allowed where it stands: it happened all the same, and a person on each side looks at it."""
    table = catalogue.table("jurisdiction")
    state: State | None = start(table)
    for act, role in steps[:-1]:
        assert state is not None
        state = step(table, state, act, role)

    assert state is not None
    act, role = steps[-1]
    assert str(table.acts[act].kind) == "fact"
    assert (state.name, role) not in table.acts[act].moves


def test_silence_ends_no_urgent_measure(catalogue: Catalogue) -> None:
    """B2b 15(3): they hold until the competent court has acted; no time is set by law."""
    table = catalogue.table("urgent-measures")

    assert {basis.silence for basis in table.bases.values()} == {Silence.NO_ANSWER}
    assert DeadlineKind.STATUTORY not in {item.kind for item in table.deadlines}
    assert str(table.acts["lapsed"].kind) == "fact"
