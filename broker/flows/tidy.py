# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Drop what nobody will need of attachments: old uploads with their keys, and files that no row names any more."""

from __future__ import annotations

from datetime import timedelta

from broker.core.delivery import UPLOAD_HOURS
from broker.ports import Blobs, Clock, Store, Transaction

__all__ = ["Tidy"]

_BATCH = 200
_LEFT_HOURS = 2 * UPLOAD_HOURS  # a file is written before its row; nobody is that slow


class Tidy:
    """Uploads after a day; sealed files without a row, which a crash or an erased case leaves behind."""

    def __init__(self, *, store: Store, blobs: Blobs, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock

    async def __call__(self) -> int:
        """Look once; return how many blobs were dropped."""
        dropped = await self._store.run(self._forget_uploads)
        before, after = (self._clock.now() - timedelta(hours=_LEFT_HOURS)).timestamp(), ""
        while names := await self._blobs.left_since(before, after=after, limit=_BATCH):
            after = names[-1]
            known = await self._store.read(lambda reader, names=names: reader.known_blobs(names))  # type: ignore[misc]
            dropped += [name for name in names if name not in known]
        for blob in dropped:
            await self._blobs.drop(blob)
        return len(dropped)

    def _forget_uploads(self, tx: Transaction) -> list[str]:
        before = self._clock.now() - timedelta(hours=UPLOAD_HOURS)
        old = list(tx.old_uploads(before=before, limit=_BATCH))
        for upload in old:
            tx.drop_upload(upload)
        return old
