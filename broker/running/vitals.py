# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Asks the node's own health checks now and then, and calls a person for what stays wrong (promise P7)."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from broker.core.attention import AttentionCode
from broker.core.errors import BrokerError
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction

__all__ = ["DISK_FAILURE", "Vitals", "room_on_disk"]

DISK_FAILURE = 100 * 1024**2  # bytes: a person is called while the call itself still finds room
PATIENCE = 2  # checks in a row that must fail: a broker that restarts is no reason to call anybody


class Vitals:
    """Turns failing health checks into attention entries, and closes them when the check passes again."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        clock: Clock,
        checks: Callable[[], Mapping[str, Callable[[], Awaitable[str | None]]]],
        warnings: Mapping[AttentionCode, Callable[[], str | None]] | None = None,
    ) -> None:
        """Args:
        store, ledger, clock: where and when a person is called.
        checks: the health checks by name; what keeps failing calls a person.
        warnings: what is still well but needs a person soon, by the code that calls one at the first sentence.
        """
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._checks = checks
        self._warnings = warnings or {}
        self._failing: dict[str, int] = {}

    async def __call__(self) -> int:
        """Check once.

        Raises:
            StoreUnavailable, DiskFull: the call could not be stored; the log has it.
        """
        sentences = {name: await self._ask(check) for name, check in self._checks().items()}
        for name, sentence in sentences.items():
            self._failing[name] = self._failing.get(name, 0) + 1 if sentence else 0
        warnings = {code: warn() for code, warn in self._warnings.items()}
        await self._store.run(lambda tx: self._tell(tx, sentences, warnings))
        return 0

    async def _ask(self, check: Callable[[], Awaitable[str | None]]) -> str | None:
        try:
            return await check()
        except BrokerError as error:
            return error.detail

    def _tell(
        self, tx: Transaction, sentences: Mapping[str, str | None], warnings: Mapping[AttentionCode, str | None]
    ) -> None:
        now = self._clock.now()
        for name, sentence in sentences.items():
            if sentence is None:
                tx.resolve_attention(AttentionCode.NODE_UNWELL, name, at=now, by="node")
            elif self._failing[name] >= PATIENCE:
                self._ledger.call(tx, AttentionCode.NODE_UNWELL, name, now=now, detail=sentence)
        for code, warning in warnings.items():
            if warning is None:
                tx.resolve_attention(code, code.value, at=now, by="node")
            else:
                self._ledger.call(tx, code, code.value, now=now, detail=warning)


def room_on_disk(home: Path) -> str | None:
    """Return what is wrong with the room left on the disk of the home; None: there is enough."""
    free = shutil.disk_usage(home).free
    return None if free >= DISK_FAILURE else f"Only {free // 1024**2} MiB are free on the disk of the home folder."
