# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""When a case is to be reviewed: a view over its newest message, the node's rules and what persons decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from broker.core.deadlines import Calendar
from broker.core.erasures import Retained
from broker.core.ids import CountryCode
from broker.core.retention import RetentionRule, RetentionRules
from broker.flows.retain.list_case import Case, case_of
from broker.ports import Reader
from broker.rows import ProcedureRow

__all__ = ["ReviewDates", "Standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How long one case is kept."""

    case: Case
    last: datetime  # when its newest message came or went
    review: date  # the day on which a person decides anew
    due: bool  # that day has come
    rule: RetentionRule  # the longest of its procedures
    retained: Retained | None


class ReviewDates:
    """Counts review dates in our own calendar (Regulation 1182/71)."""

    def __init__(self, *, us: CountryCode, rules: RetentionRules, calendar_of: Callable[[str], Calendar]) -> None:
        self._us = us
        self._rules = rules
        self._calendar_of = calendar_of

    def of_first(self, reader: Reader, row: ProcedureRow, *, now: datetime) -> Standing | None:
        """Return the standing of the case whose oldest procedure this is, so that each case is met once."""
        if row.erased is not None:
            return None
        case = case_of(reader, row)
        return self.standing(reader, case, now=now) if case.rows[0].ref.id == row.ref.id else None

    def standing(self, reader: Reader, case: Case, *, now: datetime) -> Standing:
        """Return how long a case is kept: the latest date of its procedures, or what a later review said."""
        calendar = self._calendar_of(self._us)
        kept = reader.retention.retained(case.scope)
        found = []
        for row in case.rows:
            rule, last = self._rules.of(row.ref.name), reader.retention.last_activity(row.ref.id) or row.opened
            end = calendar.end(last, rule.limit, before=False, ends_on_date=False)
            found.append((calendar.last_day(end), last, rule))
        review, _, rule = max(found, key=lambda one: one[0])
        last = max(one[1] for one in found)
        if kept is not None and kept.keep_until is not None and kept.reviewed is not None and kept.reviewed >= last:
            review = kept.keep_until
        today = now.astimezone(calendar.zone).date()
        return Standing(case=case, last=last, review=review, due=review <= today, rule=rule, retained=kept)
