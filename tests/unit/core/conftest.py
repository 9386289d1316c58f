# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A procedure table small enough to be overlooked."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.procedures import ProcedureTable
from broker.core.tables import parse_table


@pytest.fixture
def data() -> dict[str, Any]:
    """A small procedure table as its file says it: asked, then answered, found or cancelled."""
    return {
        "procedure": "small",
        "version": "1.0",
        "title": "Small",
        "subject": "child",
        "roles": ["REQUESTING", "REQUESTED"],
        "initial": "NEW",
        "final": ["DONE"],
        "states": {"NEW": {"title": "new"}, "OPEN": {"title": "open"}, "DONE": {"title": "done"}},
        "acts": {
            "ask": {"kind": "act", "opens": True, "moves": [{"from": ["NEW"], "by": "REQUESTING", "to": "OPEN"}]},
            "reply": {"kind": "act", "moves": [{"from": ["OPEN"], "by": "REQUESTED", "to": "DONE"}]},
            "found": {"kind": "fact", "moves": [{"from": ["OPEN"], "by": "REQUESTED", "to": "OPEN"}]},
            "cancel": {"kind": "act", "stop": True, "moves": [{"from": ["OPEN"], "by": "REQUESTING", "to": "DONE"}]},
        },
        "deadlines": [
            {
                "id": "answer",
                "title": "Answer",
                "from_event": "ask.delivered",
                "until": ["reply"],
                "limit": {"months": 3},
                "kind": "STATUTORY",
                "source": "a source",
                "silence": "Silence is never an answer.",
            }
        ],
    }


@pytest.fixture
def table(data: dict[str, Any]) -> ProcedureTable:
    """The same, read."""
    return parse_table(data)
