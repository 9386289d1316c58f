# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How fast an audit trail is linked and checked: the real tables, the real reader, one thread."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from broker.core.audit import GENESIS, AuditAction, AuditRow, chained
from broker.core.ids import AuthorityId, CountryCode, ProcedureId
from broker.core.roles import AuditRole
from broker.flows.verify_audit import Verdict, VerifyAudit
from broker.ports import Store, Transaction
from broker.storage import migrate, open_store
from broker.system import SystemClock, ThreadCompute
from broker.testing.at_rest import unsafe_at_rest

__all__ = ["audit_speed"]

_ENTRIES = 50_000
_BATCH = 5_000
_CHECKS = 4  # the quickest counts: what else the machine does can only add
_ROW = AuditRow(
    at=datetime(2026, 11, 22, 3, tzinfo=UTC),
    actor="officer-7",
    action=AuditAction.READ,
    subject="01920000-0000-7000-8000-000000000001",
    detail="family-tracing.request",
    role=AuditRole.OFFICER,
    authority=AuthorityId("social-insurance-board"),
    procedure=ProcedureId("01920000-0000-7000-8000-000000000002"),
    peer=CountryCode("FI"),
    reason="B2B_80_1_B",
)


def audit_speed(folder: Path) -> tuple[float, float]:
    """Return entries per second of linking and of checking."""
    url = f"sqlite:///{folder / 'audit.db'}"
    migrate(url)
    return asyncio.run(_measured(url))


async def _measured(url: str) -> tuple[float, float]:
    us = CountryCode("EE")
    store, compute = open_store(url, us=us, cipher=unsafe_at_rest()), ThreadCompute(1)
    try:
        await store.run(_filled)
        started = time.perf_counter()
        await _linked(store)
        linking = time.perf_counter() - started
        check = VerifyAudit(
            us=us, store=store, compute=compute, clock=SystemClock(), member_then=lambda _reader, _raw: None
        )
        checking, verdict = min([await _checked(check) for _ in range(_CHECKS)], key=lambda one: one[0])
    finally:
        compute.close()
        await store.close()
    if not verdict.intact or verdict.end.position != _ENTRIES:
        raise SystemExit("the measured trail is not the one that was written")
    return _ENTRIES / linking, _ENTRIES / checking


def _filled(tx: Transaction) -> None:
    for _ in range(_ENTRIES):
        tx.audit(_ROW)


async def _checked(check: VerifyAudit) -> tuple[float, Verdict]:
    started = time.perf_counter()
    verdict = await check()
    return time.perf_counter() - started, verdict


async def _linked(store: Store) -> None:
    head = GENESIS
    while entries := await store.read(lambda reader: reader.unlinked_audit(_BATCH)):
        links = chained(head, entries)
        await store.run(lambda tx, entries=entries, links=links: tx.link_audit(entries, links))  # type: ignore[misc]
        head = links[-1].head
