# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a person should look at in a country profile, and what changed between two of its versions.

An error is what cannot be true as it stands; a doubt is what nobody should rely on without asking; an open question is what
nobody has answered. Only errors keep a profile from being signed: much of what is true of a country is unknown at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from broker.core.profile_questions import BOUND, NOT_BOUND, QUESTIONS
from broker.core.profiles import Entry, ProfileVersion, Standing, is_older, ordered

__all__ = ["Change", "Finding", "Level", "compare", "review"]


class Level(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # cannot be true as it stands
    DOUBT = "doubt"  # not to be relied on without asking
    OPEN = "open"  # nobody has answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at."""

    level: Level
    code: str  # stable
    question: str | None  # None: the version as a whole
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One question that two versions answer differently."""

    question: str
    before: Entry
    after: Entry

    @property
    def answer_changed(self) -> bool:
        """Whether the answer itself is another, and not only its source, standing or note."""
        return (self.before.known, self.before.applicable, self.before.value) != (
            self.after.known,
            self.after.applicable,
            self.after.value,
        )


def review(version: ProfileVersion, *, today: date) -> tuple[Finding, ...]:
    """Return everything to look at, errors first, each kind in the order of the questions."""
    found = [*_edit(version, today), *_contradictions(version)]
    for name in ordered():
        found += _answer(name, version.entry(name), today)
    rank = list(Level)
    return tuple(sorted(found, key=lambda finding: rank.index(finding.level)))


def compare(before: ProfileVersion, after: ProfileVersion) -> tuple[Change, ...]:
    """Return the questions that are answered differently, in the order in which people read them."""
    return tuple(
        Change(question=name, before=before.entry(name), after=after.entry(name))
        for name in ordered()
        if before.entry(name) != after.entry(name)
    )


def _edit(version: ProfileVersion, today: date) -> Iterator[Finding]:
    if version.edited > today:
        yield _error("edited-in-future", None, "The version was written down in the future.")
    elif is_older(version.edited, today):
        yield _doubt("old-version", None, f"Nobody has edited it since {version.edited}, more than 12 months ago.")


def _answer(name: str, entry: Entry, today: date) -> Iterator[Finding]:
    if not entry.known:
        yield Finding(level=Level.OPEN, code="unknown", question=name, sentence=_looked_for(entry))
        return
    if entry.standing in (Standing.SECONDARY, Standing.UNVERIFIED):
        yield _doubt("not-verified", name, _DOUBTS[entry.standing])
    read = entry.source.earliest if entry.source else None
    if read is None:
        if entry.standing is Standing.VERIFIED:
            yield _error("verified-without-day", name, "It is called verified, and nobody wrote down when it was read.")
        elif entry.standing is not Standing.UNVERIFIED:
            yield _doubt("no-day", name, "Nobody wrote down when it was read.")
    elif read > today:
        yield _error("read-in-future", name, "It was read in the future.")
    elif is_older(read, today):
        yield _doubt(
            "old", name, f"It was read in {entry.source.read if entry.source else ''}, more than 12 months ago."
        )


_DOUBTS = {
    Standing.SECONDARY: "From a source about the source: shown as unverified.",
    Standing.UNVERIFIED: "General knowledge that nobody has checked: shown as unverified.",
}


def _looked_for(entry: Entry) -> str:
    return "Unknown." if entry.note is None else f"Unknown. {entry.note}"


# --- what contradicts itself -----------------------------------------------------------------------------------------


def _contradictions(version: ProfileVersion) -> Iterator[Finding]:
    for name, code, wrong, sentence in _RULES:
        if wrong(version):
            yield _error(code, name, sentence)


def _answers(version: ProfileVersion, name: str) -> bool:
    """Whether a question has a value, and not only a word that it does not arise."""
    entry = version.entry(name)
    return entry.known and entry.applicable


def _bound(version: ProfileVersion, instrument: str) -> str | None:
    value = version.entry(f"instruments.{instrument}").value
    return value if isinstance(value, str) else None


def _without_instrument(instrument: str, name: str) -> Callable[[ProfileVersion], bool]:
    return lambda version: _bound(version, instrument) == NOT_BOUND and _answers(version, name)


def _relatives(version: ProfileVersion) -> frozenset[str]:
    return version.codes("placement.relative_categories") or frozenset()


_RULES: tuple[tuple[str, str, Callable[[ProfileVersion], bool], str], ...] = (
    *(
        (name, "not-bound", _without_instrument(instrument, name), "The State is not bound by what this rests on.")
        for instrument, name in (
            ("b2b", "instruments.b2b_since"),
            ("b2b", "bodies.central_authority_b2b"),
            ("b2b", "placement.relative_categories"),
            ("h96", "instruments.h96_since"),
            ("h96", "instruments.h96_objections"),
            ("h96", "instruments.h96_reservations"),
            ("h96", "bodies.central_authority_h96"),
            ("cets197", "instruments.cets197_since"),
        )
    ),
    (
        "placement.relative_categories", "should-apply",
        lambda v: _bound(v, "b2b") == BOUND and not v.entry("placement.relative_categories").applicable,
        "The State is bound by Brussels IIb, so the question of exempt relatives arises.",
    ),
    (
        "placement.relative_categories", "exempt-and-needed",
        lambda v: bool(_relatives(v)) and v.says("placement.consent_for_all") is True,
        "Consent is said to be needed for every placement, and relatives are exempt.",
    ),
    (
        "placement.relative_categories", "parents-listed",
        lambda v: "PARENTS" in _relatives(v),
        "Parents need no notification: B2b 82(2) exempts them itself.",
    ),
    (
        "placement.second_decision", "no-second-decision",
        lambda v: v.says("placement.second_decision") is False and _answers(v, "placement.second_decision_by"),
        "No second decision is needed, and somebody takes it.",
    ),
    (
        "languages.preferred", "preferred-not-accepted",
        lambda v: _answers(v, "languages.accepted")
        and not (v.codes("languages.preferred") or frozenset()) <= (v.codes("languages.accepted") or frozenset()),
        "A preferred language is not among those accepted.",
    ),
)  # fmt: skip


def _error(code: str, question: str | None, sentence: str) -> Finding:
    return Finding(level=Level.ERROR, code=code, question=_known(question), sentence=sentence)


def _doubt(code: str, question: str | None, sentence: str) -> Finding:
    return Finding(level=Level.DOUBT, code=code, question=_known(question), sentence=sentence)


def _known(question: str | None) -> str | None:
    if question is not None and question not in QUESTIONS:
        raise RuntimeError("a rule about a question that does not exist")
    return question
