# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How many messages a record may hold: it is folded whole whenever one is added, while the others wait.

A child's procedure has tens of messages. Folding takes longer the more there are, and each that comes pays for all:
without a bound a peer could stop this node with valid messages. Each side has its own share, so that neither can use up the other's, and
keeps a part of it for what must always get through.
"""

from __future__ import annotations

from collections.abc import Iterable

from broker.core.ids import CountryCode
from broker.core.messages import RecordEntry
from broker.core.procedures import ALARM_CLOSED, ActKind, ProcedureTable

__all__ = ["MOST_BY_ONE_SIDE", "RESERVED", "has_room"]

MOST_BY_ONE_SIDE = 200  # messages and stubs of one author in one procedure
RESERVED = 40  # of these, for stops, facts and the closing of alarms


def has_room(table: ProcedureTable, entries: Iterable[RecordEntry], author: CountryCode, act: str) -> bool:
    """Whether one more message of that author fits (PROTOCOL 10.13)."""
    written = sum(entry.author == author for entry in entries)
    return written < (MOST_BY_ONE_SIDE if _must_fit(table, act) else MOST_BY_ONE_SIDE - RESERVED)


def _must_fit(table: ProcedureTable, act: str) -> bool:
    definition = table.acts.get(act)
    return act == ALARM_CLOSED or (definition is not None and (definition.stop or definition.kind is ActKind.FACT))
