# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Remove what an erased case has outside of the database: sealed files, and what adapters handed over.

Each piece is noted in the transaction that erases, and the note goes only when whoever holds the piece has confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from broker.adapter_api import Adapter, ErasedMessage
from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction, AuditRow
from broker.core.delivery import HAND_OVER_SECONDS, LEASE_SECONDS, WATCH_BATCH, retry
from broker.core.erasures import Duty, DutyKind
from broker.core.errors import AdapterFailed, BrokerError
from broker.core.ids import AuthorityId, CountryCode, MessageId
from broker.ledger import Ledger
from broker.ports import Blobs, Clock, Ids, Store, Transaction

__all__ = ["Clear"]


class Clear:
    """Duties of erasures, until none is left; a person is called about what an adapter does not remove."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: Blobs,
        adapter_for: Callable[[AuthorityId], Adapter | None],
        ledger: Ledger,
        clock: Clock,
        ids: Ids,
    ) -> None:
        """Args:
        adapter_for: the adapter of an authority; None: what was handed over there, people have.
        """
        self._store = store
        self._blobs = blobs
        self._adapter_for = adapter_for
        self._ledger = ledger
        self._clock = clock
        self._ids = ids

    async def __call__(self) -> int:
        """Do one batch; return how many duties were taken."""
        now = self._clock.now()
        until = now + timedelta(seconds=LEASE_SECONDS)
        duties = await self._store.run(lambda tx: tx.retention.lease_duties(now=now, until=until, limit=WATCH_BATCH))
        for duty in duties:
            error = await self._fulfil(duty)
            await self._store.run(lambda tx, duty=duty, error=error: self._settle(tx, duty, error))  # type: ignore[misc]
        return len(duties)

    async def _fulfil(self, duty: Duty) -> BrokerError | None:
        try:
            if duty.kind is DutyKind.BLOB:
                await self._blobs.drop(duty.name)
            else:
                await self._tell(duty)
        except BrokerError as error:
            return error
        except TimeoutError:
            return AdapterFailed("The adapter did not answer in time.")
        except Exception as error:  # foreign code
            return AdapterFailed(f"The adapter raised {type(error).__name__}.")
        return None

    async def _tell(self, duty: Duty) -> None:
        adapter = self._adapter_for(duty.authority)
        if adapter is None:
            return
        direction, peer, message = duty.name.split("/")
        erased = ErasedMessage(received=direction == "in", country=CountryCode(peer), id=MessageId(message))
        async with asyncio.timeout(HAND_OVER_SECONDS):
            await adapter.erased(erased)

    def _settle(self, tx: Transaction, duty: Duty, error: BrokerError | None) -> None:
        now = self._clock.now()
        if error is not None:
            decision = retry(duty.attempts, error, now=now, jitter=self._ids.jitter())
            tx.retention.retry_duty(duty, next_at=decision.next_at)
            if decision.call_person:
                self._ledger.call(
                    tx, AttentionCode.NOT_ERASED, duty.erasure, authority=duty.authority, now=now, detail=error.detail
                )
            return
        tx.retention.drop_duty(duty)
        if tx.retention.duties_of(duty.erasure):
            return
        tx.resolve_attention(AttentionCode.NOT_ERASED, duty.erasure, at=now, by="node")
        tx.audit(
            AuditRow(
                at=now, actor="node", action=AuditAction.COPIES_ERASED, subject=duty.erasure, authority=duty.authority
            )
        )
