# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the other side's clearance of an irreversible act."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from broker.core.clearance import clearance_hindrances
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import RecordEntry
from broker.core.record import fold
from broker.core.tables import parse_table

EE, FI = CountryCode("EE"), CountryCode("FI")
TODAY = date(2026, 11, 22)
TABLE = parse_table(
    {
        "procedure": "small", "version": "1.0", "title": "Small", "subject": "child", "roles": ["REQUESTING", "REQUESTED"],
        "initial": "NEW", "final": ["GONE"],
        "states": {name: {"title": name} for name in ("NEW", "PLANNED", "ACCEPTED", "GONE")},
        "acts": {
            "plan": {"kind": "act", "opens": True, "moves": [{"from": ["NEW", "PLANNED", "ACCEPTED"], "by": "REQUESTING", "to": "PLANNED"}]},
            "acceptance": {"kind": "act", "moves": [{"from": ["PLANNED"], "by": "REQUESTED", "to": "ACCEPTED"}]},
            "departure": {
                "kind": "act", "irreversible": True, "clearance": {"act": "acceptance", "covers": "plan"},
                "moves": [{"from": ["@open"], "by": "REQUESTING", "to": "GONE"}],
            },
        },
    }
)  # fmt: skip


class History:
    """A record that grows message by message, with the bodies of clearances."""

    def __init__(self) -> None:
        self.entries: list[RecordEntry] = []
        self.bodies: dict[Digest, Mapping[str, Any]] = {}

    def add(self, author: CountryCode, act: str, body: Mapping[str, Any] | None = None) -> Digest:
        digest = Digest(hashlib.sha256(str(len(self.entries)).encode()).hexdigest())
        message = MessageId(f"01890000-0000-7000-8000-{len(self.entries):012x}")
        parents = tuple(entry.digest for entry in self.entries[-1:])
        self.entries.append(RecordEntry(digest=digest, message=message, author=author, act=act, parents=parents))
        self.bodies[digest] = body or {}
        return digest

    def hindrances(self, act: str = "departure", today: date = TODAY) -> tuple[str, ...]:
        folded = fold(TABLE, EE, self.entries, ())
        return clearance_hindrances(TABLE, folded, self.entries, act, self.bodies.get, today=lambda: today)


@pytest.fixture
def accepted() -> History:
    """A plan and its acceptance, valid until today."""
    history = History()
    plan = history.add(EE, "plan")
    history.add(FI, "acceptance", {"covers": plan, "valid_until": "2026-11-22"})
    return history


def test_an_accepted_plan_clears_until_its_last_day(accepted: History) -> None:
    """On the last day the clearance holds, on the next it does not."""
    assert accepted.hindrances() == ()
    assert accepted.hindrances(today=date(2026, 11, 23)) == ("clearance-expired",)


def test_without_acceptance_nothing_is_cleared() -> None:
    """A plan alone clears nothing, and what needs no clearance is not hindered."""
    history = History()
    history.add(EE, "plan")
    assert history.hindrances() == ("clearance-missing",)
    assert history.hindrances("plan") == ()
    assert history.hindrances("no-such-act") == ()


def test_a_changed_plan_needs_a_new_acceptance(accepted: History) -> None:
    """CASEWORK C-19: the acceptance covers exactly the plan whose digest it names."""
    second = accepted.add(EE, "plan")
    assert accepted.hindrances() == ("clearance-for-another-plan",)
    accepted.add(FI, "acceptance", {"covers": second, "valid_until": "2026-12-01"})
    assert accepted.hindrances() == ()


def test_an_acceptance_that_is_no_longer_held_clears_nothing(accepted: History) -> None:
    """Where the body was erased nobody can say what it covered."""
    accepted.bodies = {}
    assert accepted.hindrances() == ("clearance-missing",)


def test_an_acceptance_without_effect_clears_nothing(accepted: History) -> None:
    """A second acceptance of what is accepted already prolongs nothing: it is in the record, and changes no state."""
    accepted.add(FI, "acceptance", {"covers": accepted.entries[0].digest, "valid_until": "2026-12-01"})
    assert accepted.hindrances(today=date(2026, 11, 23)) == ("clearance-expired",)
