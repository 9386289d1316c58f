# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A home with a filled store and an officer's recovery key, to back up and to make anew; its secrets are anybody's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from broker.backup.making import ATTACHMENTS, Made, back_up
from broker.backup.recovery import accept, create_recovery_key, open_recovery_key
from broker.backup.restoring import Restored, restore
from broker.core.ids import AuthorityId, CountryCode
from broker.core.trust import Authority
from broker.home import create_home
from broker.ports import Transaction
from broker.rows import InboxRow, OutboxRow, ParkedChunk
from broker.security.suite import Opener
from broker.settings import Settings
from broker.storage import AtRest, migrate, open_store
from broker.storage.blobs import DiskBlobs
from broker.testing import store_rows as rows
from broker.vault import UNSAFE_DEV_KDF, FileVault

__all__ = ["BackedHome", "fill"]

_PASSPHRASE = b"anybody's"
_BLOB = "0123456789abcdef" * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedHome:
    """Where it stands, and what opens its backups."""

    settings: Settings
    vault: FileVault
    opener: Opener
    folder: Path

    @classmethod
    def create(cls, folder: Path, *, store_url: str | None = None, country: str = "EE") -> BackedHome:
        """Make an empty one.

        Args:
            folder: for the home, the passphrase and the recovery key.
            store_url: an empty database; None: a file in the home.
            country: whose node it is.
        """
        us = CountryCode(country)
        (folder / "vault.pass").write_bytes(_PASSPHRASE)
        stated = {"spool_folder": str(folder / "spool"), "passphrase_file": str(folder / "vault.pass")}
        create_home(
            folder / country, us, passphrase=_PASSPHRASE, now=rows.NOW,
            authorities=(Authority(id=AuthorityId("social-insurance-board"), name="Board", languages=("et",)),),
            messages=MappingProxyType({}), kdf=UNSAFE_DEV_KDF,
            settings=stated if store_url is None else {**stated, "store_url": store_url},
        )  # fmt: skip
        settings = Settings.load(folder / country)
        key = folder / f"{country}-officer.key"
        named, _ = create_recovery_key(key, us, "officer 1", passphrase=_PASSPHRASE, kdf=UNSAFE_DEV_KDF)
        accept(settings.home, named)
        migrate(settings.store_url)
        return cls(
            settings=settings,
            vault=FileVault.open(settings.vault_file, _PASSPHRASE),
            opener=open_recovery_key(key, _PASSPHRASE),
            folder=folder,
        )

    def work(self, fn: Callable[[Transaction], object]) -> object:
        """Run one transaction in its store."""
        return asyncio.run(self._work(fn))

    def back_up(self, seconds: float = 0.0) -> tuple[Made, Made]:
        """Write both backups, so many seconds after the beginning."""
        to, keys_to = self.folder / "data", self.folder / "keys"
        return back_up(self.settings, self.vault, to=to, keys_to=keys_to, now=rows.later(seconds))

    def restore(self, data: Path, keys: Path, *, name: str = "anew", store_url: str | None = None) -> Restored:
        """Make a home of that name out of backups."""
        return restore(
            data, keys, self.opener, home=self.folder / name, now=rows.later(1000), actor="test", store_url=store_url
        )

    def anew(self, name: str = "anew") -> BackedHome:
        """Return the home that was made."""
        settings = Settings.load(self.folder / name)
        return replace(self, settings=settings, vault=FileVault.open(settings.vault_file, _PASSPHRASE))

    def contents(self, count: int) -> tuple[OutboxRow | None, InboxRow | None]:
        """Return the messages of that number, opened."""
        found: list[tuple[OutboxRow | None, InboxRow | None]] = []
        self.work(
            lambda tx: found.append(
                (tx.outbox(rows.message_id(2 * count)), tx.inbox(rows.FI, rows.message_id(2 * count + 1)))
            )
        )
        return found[-1]

    async def _work(self, fn: Callable[[Transaction], object]) -> object:
        store = open_store(self.settings.store_url, us=self.settings.country, cipher=AtRest(self.vault.ring))
        try:
            return await store.run(fn)
        finally:
            await store.close()


def fill(home: BackedHome, count: int, *, first: int = 0) -> None:
    """Put that many messages of either direction into its store, a parked chunk and its bytes."""

    def write(tx: Transaction) -> None:
        if first == 0:
            tx.add_procedure(rows.procedure(1))
            tx.park_chunk(
                ParkedChunk(
                    publisher="FI", sender=rows.FI, message=rows.message_id(999), handle=rows.digest("h"), index=0,
                    blob=_BLOB, received=rows.NOW,
                ),
                max_items=10,
            )  # fmt: skip
            tx.quarantine(rows.held(1), max_items=10, max_bytes=10_000)
            tx.raise_attention(rows.attention())
        for number in range(first, first + count):
            tx.add_outbox(rows.outgoing(2 * number), next_at=rows.NOW, terms=frozenset({"name naidis"}))
            tx.add_inbox(rows.incoming(2 * number + 1), next_at=None, handed_over=rows.NOW)
            tx.add_record_entry(rows.procedure_id(1), rows.record_entry(number))
            tx.add_receipt(rows.receipt(2 * number), issued=False)

    home.work(write)
    if first == 0:
        asyncio.run(DiskBlobs(home.settings.home / ATTACHMENTS).put(_BLOB, 0, b"sealed bytes"))
