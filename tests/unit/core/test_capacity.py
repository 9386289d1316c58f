# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How much a record holds."""

from __future__ import annotations

import pytest

from broker.core.canonical import digest
from broker.core.capacity import MOST_BY_ONE_SIDE, RESERVED, has_room
from broker.core.ids import CountryCode, MessageId
from broker.core.messages import RecordEntry
from broker.core.tables import parse_table

EE, FI = CountryCode("EE"), CountryCode("FI")

_MOVES = [{"from": ["OPEN"], "by": "REQUESTING", "to": "OPEN"}]
TABLE = parse_table(
    {
        "procedure": "small", "version": "1.0", "title": "Small", "subject": "child", "roles": ["REQUESTING", "REQUESTED"],
        "initial": "NEW", "final": ["DONE"],
        "states": {"NEW": {"title": "new"}, "OPEN": {"title": "open"}, "DONE": {"title": "done"}},
        "acts": {
            "ask": {"kind": "act", "opens": True, "moves": [{"from": ["NEW"], "by": "REQUESTING", "to": "OPEN"}]},
            "write": {"kind": "act", "moves": _MOVES},
            "found": {"kind": "fact", "moves": _MOVES},
            "cancel": {"kind": "act", "stop": True, "moves": [{"from": ["OPEN"], "by": "REQUESTING", "to": "DONE"}]},
        },
        "deadlines": [],
    }
)  # fmt: skip


def _entries(author: CountryCode, count: int) -> list[RecordEntry]:
    return [
        RecordEntry(
            digest=digest(f"{author}{number}".encode()),
            message=MessageId(f"01900000-0000-7000-8000-{number:012x}"),
            author=author,
            act="write",
            parents=(),
            code="schema-invalid" if number % 2 else None,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("act", "most"),
    [
        ("write", MOST_BY_ONE_SIDE - RESERVED),
        ("unheard-of", MOST_BY_ONE_SIDE - RESERVED),
        ("found", MOST_BY_ONE_SIDE),
        ("cancel", MOST_BY_ONE_SIDE),
        ("alarm-closed", MOST_BY_ONE_SIDE),
    ],
)
def test_stops_and_facts_fit_where_other_acts_no_longer_do(act: str, most: int) -> None:
    """Stubs count; the other side's messages, however many, take nobody's room."""
    other = _entries(FI, 2 * MOST_BY_ONE_SIDE)
    assert has_room(TABLE, _entries(EE, most - 1) + other, EE, act)
    assert not has_room(TABLE, _entries(EE, most) + other, EE, act)
    assert has_room(TABLE, other, EE, act)
