# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The audit trail's closed lists, and how entries are chained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.core.audit import GENESIS, AuditAction, AuditReason, AuditRow, Entry, chained, link_bytes
from broker.core.ids import AuthorityId, CountryCode, ProcedureId
from broker.core.roles import AuditRole

ROW = AuditRow(
    at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
    actor="officer-7",
    action=AuditAction.READ,
    subject="01920000-0000-7000-8000-000000000001",
    detail="family-tracing.request",
    role=AuditRole.OFFICER,
    authority=AuthorityId("social-insurance-board"),
    procedure=ProcedureId("01920000-0000-7000-8000-000000000002"),
    peer=CountryCode("FI"),
    reason="B2B_79_A",
)


def test_the_closed_lists_hold_each_text_once() -> None:
    """No two actions, roles or reasons share a text."""
    for closed in (AuditAction, AuditReason, AuditRole):
        assert len({str(member) for member in closed}) == len(closed.__members__)


def test_an_entry_is_canonical_json_of_all_its_columns() -> None:
    """Each column stands in the bytes under its own name; what does not apply is null."""
    bare = Entry(id=5, row=AuditRow(at=ROW.at, actor="node", action=AuditAction.RESEALED, subject="x"))
    assert json.loads(Entry(id=4, row=ROW).canonical()) == {
        "action": "read", "actor": "officer-7", "at": "2026-11-22T09:30:00.000Z",
        "authority": "social-insurance-board", "detail": "family-tracing.request", "id": 4, "peer": "FI",
        "procedure": "01920000-0000-7000-8000-000000000002", "reason": "B2B_79_A", "role": "officer",
        "subject": "01920000-0000-7000-8000-000000000001",
    }  # fmt: skip
    assert bare.canonical() == (
        b'{"action":"resealed","actor":"node","at":"2026-11-22T09:30:00.000Z","authority":null,"detail":"","id":5,'
        b'"peer":null,"procedure":null,"reason":"","role":"node","subject":"x"}'
    )


OTHER: dict[str, Any] = {
    "at": datetime(2026, 11, 22, 9, 30, 0, 1000, tzinfo=UTC),
    "actor": "officer-8",
    "action": AuditAction.OPENED,
    "subject": "01920000-0000-7000-8000-000000000003",
    "detail": "",
    "role": AuditRole.SYSTEM,
    "authority": None,
    "procedure": None,
    "peer": CountryCode("SE"),
    "reason": "",
}


@pytest.mark.parametrize("column", [field.name for field in fields(AuditRow) if field.name != "position"])
def test_every_column_changes_the_digest(column: str) -> None:
    """Nothing of a row can be another without its entry being another."""
    changed = replace(ROW, **{column: OTHER[column]})
    assert Entry(id=4, row=changed).canonical() != Entry(id=4, row=ROW).canonical()
    assert Entry(id=5, row=ROW).canonical() != Entry(id=4, row=ROW).canonical()


def test_a_link_is_over_place_digest_and_the_link_before() -> None:
    """The bytes are canonical JSON of the protocol's three members, and each part of them matters."""
    one, two = "1" * 64, "2" * 64
    said = json.dumps({"digest": two, "position": 7, "previous": one}, separators=(",", ":"), sort_keys=True)
    assert link_bytes(one, 7, two) == said.encode()
    assert (
        len({link_bytes(one, 7, two), link_bytes(two, 7, two), link_bytes(one, 8, two), link_bytes(one, 7, one)}) == 4
    )


def test_entries_are_chained_in_the_order_given() -> None:
    """The first has position 1 behind 64 zeros; the numbers that the store gave do not decide."""
    late, early = Entry(id=9, row=ROW), Entry(id=3, row=ROW)
    first, second = chained(GENESIS, (late, early))
    assert (first.position, first.raw, second.position, second.raw) == (1, late.canonical(), 2, early.canonical())
    assert first.digest == hashlib.sha256(late.canonical()).hexdigest()
    assert first.chain == hashlib.sha256(link_bytes("0" * 64, 1, first.digest)).hexdigest()
    assert second.chain == hashlib.sha256(link_bytes(first.chain, 2, second.digest)).hexdigest()
    assert chained(GENESIS, ()) == ()
