# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-38: nobody reads through the cases of a node; GDPR 32, LED 29.

- Counted are the different procedures whose content one person was shown in an hour, by whichever way: a message, a
  record, an attachment. Lists say nothing of a child, and an office's own system reads for many people: neither counts.
- Beyond the limit a security officer is called, and no further procedure is shown until he or she closes that call;
  what the person had open stays open, so that the case at hand is not left alone.
- The audit trail is the count: in the transaction that records a look it is asked what that person was shown. So all
  workers count together, and a restart forgets nothing. Looks that PostgreSQL records at the same moment do not see each
  other: as many more may be shown, once, as transactions run at once. A lock at each look would cost more than that.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from broker.core.attention import AttentionCode
from broker.core.errors import TooManyCases
from broker.core.ids import ProcedureId
from broker.core.roles import PEOPLE
from broker.ledger import Ledger
from broker.ports import Store, Transaction
from broker.rows import AuditRow

__all__ = ["MOST_AN_HOUR", "Restraint"]

MOST_AN_HOUR = 60  # procedures: one in a minute for an hour is nobody's casework
_HOUR = timedelta(hours=1)


class Restraint:
    """Puts on record that somebody is shown content, and counts it; whoever shows content asks here first."""

    def __init__(self, *, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    async def record(self, look: AuditRow) -> None:
        """Record a look at something of a case; it may be shown when this returns.

        Raises:
            TooManyCases: it must not be shown.
            StoreUnavailable, DiskFull: it is not on record; do not show it.
        """
        if not await self._store.run(lambda tx: self._record(tx, look)):
            raise TooManyCases

    def _record(self, tx: Transaction, look: AuditRow) -> bool:
        procedure = look.procedure if look.role in PEOPLE else None
        if procedure is not None and self._too_many(tx, look.actor, procedure, look.at):
            self._ledger.call(tx, AttentionCode.BULK_READING, look.actor, now=look.at)
            return False  # not an exception: the call is to stay
        tx.audit(look)
        return True

    def _too_many(self, tx: Transaction, actor: str, procedure: ProcedureId, now: datetime) -> bool:
        since = now - _HOUR
        shown = tx.shown(actor, since=since)
        if procedure in shown:
            return False
        call = tx.last_call(AttentionCode.BULK_READING, actor)
        if call is not None:
            if call.resolved is None:
                return True
            if call.resolved > since:
                shown = tx.shown(actor, since=call.resolved)  # what was looked into before counts no more
        return len(shown) >= MOST_AN_HOUR
