# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The demonstration's result: one JSON document for scripts, a story for people. Nothing of the case is in either."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from broker.core.ladder import in_order
from broker.demo.checks import Outcome
from broker.demo.evidence import Evidence, Line

__all__ = ["Report", "country_name", "document", "told"]

_NAMES = {"EE": "Estonia", "FI": "Finland", "SE": "Sweden"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is told."""

    scenario: str
    transport: str
    folder: str | None  # None: removed
    seconds: float
    evidence: Evidence
    outcomes: tuple[Outcome, ...]

    @property
    def holds(self) -> bool:
        """Whether every claim is proven."""
        return bool(self.outcomes) and all(outcome.problem is None for outcome in self.outcomes)


def document(report: Report) -> dict[str, Any]:
    """Return the one JSON document."""
    evidence = report.evidence
    asking, asked, onlooker = evidence.requesting, evidence.requested, evidence.onlooker
    return {
        "scenario": report.scenario,
        "transport": report.transport,
        "nodes": [
            {"country": asking.country, "digest": asking.digest, "messages": len(asking.messages)},
            {"country": asked.country, "digest": asked.digest, "messages": len(asked.messages)},
            {"country": onlooker.country, "digest": None, "messages": onlooker.messages},
        ],
        "equal": asking.digest is not None and asking.digest == asked.digest,
        "timeline": [asdict(line) for line in told(evidence)],
        "checks": [{"claim": o.claim, "ok": o.problem is None, "problem": o.problem} for o in report.outcomes],
        "passed": report.holds,
        "folder": report.folder,
        "seconds": round(report.seconds, 1),
    }


def told(evidence: Evidence) -> tuple[Line, ...]:
    """Return both sides' timelines as one, oldest first; a step that both show is told once, by its author's side."""
    chosen: dict[tuple[str, str], Line] = {}
    for line in _all_lines(evidence):
        chosen.setdefault((line.message, line.state), line)
    return in_order(
        chosen.values(), message=lambda line: line.message, state=lambda line: line.state, at=lambda line: line.at
    )


def _all_lines(evidence: Evidence) -> Iterable[Line]:
    authors = {sent.message: sent.author for sent in evidence.sent}
    sides = (evidence.requesting, evidence.requested)
    for own in (True, False):
        for side in sides:
            yield from (line for line in side.timeline if (authors.get(line.message) == side.country) is own)


def country_name(code: str) -> str:
    """Return the country's English name."""
    return _NAMES.get(code, code)
