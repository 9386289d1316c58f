# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-38: nobody reads through the cases of a node; GDPR 32, LED 29.

- Counted are the different procedures whose content one person was shown in an hour, by whichever way: a message, a
  record, an attachment. Lists say nothing of a child, and an office's own system reads for many people: neither counts.
- Beyond the limit a security officer is called, and no further procedure is shown until he or she closes that call;
  what the person had open stays open, so that the case at hand is not left alone.
- Each worker counts by itself and a restart begins anew; the call stands in the store and holds everywhere.
"""

from __future__ import annotations

from broker.core.attention import AttentionCode
from broker.core.audit import Who
from broker.core.errors import TooManyCases
from broker.core.ids import ProcedureId
from broker.core.roles import AuditRole
from broker.ledger import Ledger
from broker.ports import Clock, Store

__all__ = ["MOST_AN_HOUR", "Restraint"]

MOST_AN_HOUR = 60  # procedures: one in a minute for an hour is nobody's casework
_HOUR = 3600.0  # seconds
_PERSONS = frozenset({AuditRole.OFFICER, AuditRole.OPERATOR})


class Restraint:
    """Counts what one person was shown; whoever shows content asks here first."""

    def __init__(self, *, store: Store, ledger: Ledger, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._shown: dict[str, dict[ProcedureId, float]] = {}  # by person: when each was shown last, the oldest first
        self._held: set[str] = set()

    async def check(self, procedure: ProcedureId | None, who: Who) -> None:
        """Count that somebody is about to be shown something of that procedure.

        Raises:
            TooManyCases: it must not be shown.
            StoreUnavailable, DiskFull: nobody could be called; do not show it.
        """
        if procedure is None or who.role not in _PERSONS:
            return
        shown, now = self._lately(who.actor), self._clock.monotonic()
        if shown is None or (procedure not in shown and who.actor in self._held):
            shown = await self._begin(who.actor)
        if procedure not in shown and len(shown) >= MOST_AN_HOUR:
            await self._call(who.actor)
            raise TooManyCases
        shown.pop(procedure, None)
        shown[procedure] = now

    def _lately(self, actor: str) -> dict[ProcedureId, float] | None:
        """Return what that person was shown within the hour; None: nothing is known of the person here."""
        shown, since = self._shown.get(actor), self._clock.monotonic() - _HOUR
        while shown and next(iter(shown.values())) < since:
            del shown[next(iter(shown))]
        return shown

    async def _begin(self, actor: str) -> dict[ProcedureId, float]:
        """Count from nothing: a new person, or one whose call was closed."""
        calls = await self._store.read(lambda reader: reader.open_calls([AttentionCode.BULK_READING]))
        if any(call.subject == actor for call in calls):
            self._held.add(actor)
            self._shown.setdefault(actor, {})
            raise TooManyCases
        self._held.discard(actor)
        shown: dict[ProcedureId, float] = {}
        self._shown[actor] = shown
        return shown

    async def _call(self, actor: str) -> None:
        now = self._clock.now()
        await self._store.run(lambda tx: self._ledger.call(tx, AttentionCode.BULK_READING, actor, now=now))
        self._held.add(actor)
