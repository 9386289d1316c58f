# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Backing up a node that may be running: data first, then the keys that open it, each read back before it counts.

The keys are read after the data: every case that the data holds then has its key there. Wrapping keys may move to their
next epoch meanwhile: the vault and the key table of one moment are taken, or both again.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from broker.backup.container import Frame, Sealing, look
from broker.backup.contents import (
    BEGIN,
    BLOB,
    DATA,
    DATA_KIND,
    END,
    FILE,
    KEYS_KIND,
    ROWS,
    TABLE,
    Account,
    Manifest,
    read_through,
)
from broker.backup.recovery import RECOVERY_FILE, accepted
from broker.core import canonical
from broker.core.content import time_to_text
from broker.core.errors import BackupInvalid, HomeInvalid, StoreUnavailable
from broker.core.ids import Digest, KeyId
from broker.durable import not_written, overwrite, writing_durably
from broker.home import MEMBER_FILE
from broker.plain_files import files_below, open_plain
from broker.security.backup_file import FileCipher, begin, read_head, sign_backup
from broker.settings import Settings
from broker.storage.dump import KEY_TABLES, Snapshot, data_tables, snapshot
from broker.vault import FileVault

__all__ = ["ATTACHMENTS", "Made", "back_up"]

ATTACHMENTS = "attachments"  # the folder of sealed bytes in a home
_BLOCK = 1024 * 1024  # bytes of a file that stand in one frame
_TRUST = "trust"
_ATTEMPTS = 20  # to find vault and key table of one moment
_PAUSE_SECONDS = 0.25  # the serving node moves the keys meanwhile, in another process: nothing here could wake us


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup file that was written and read back."""

    file: Path
    size: int
    digest: Digest
    kids: tuple[KeyId, ...]  # of the recovery keys that open it
    manifest: Manifest


def back_up(settings: Settings, vault: FileVault, *, to: Path, keys_to: Path, now: datetime) -> tuple[Made, Made]:
    """Write a backup of data and one of keys; return both, in this order.

    Raises:
        BackupInvalid: there is no recovery key, both would lie in one folder, or what was written does not read back.
        StoreUnavailable, StoreNeedsMigration, StoreCorrupt, KeyMissing: the node cannot be read.
        DiskFull, HomeInvalid: there is no room, or a folder cannot be written; what was there before is as it was.
    """
    if os.path.realpath(to) == os.path.realpath(keys_to):
        raise BackupInvalid("Data and keys go to two places: whoever finds one must not find the other.")
    making = _Making(settings, vault, now)
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    data = making.write(to / f"{settings.country}-{stamp}.trmdata", DATA_KIND, making.data)
    with _destroyed_after(keys_to / f"{settings.country}.trmkeys") as place:
        keys = making.write(place, KEYS_KIND, making.keys)
    return data, keys


class _Making:
    """What both files have in common."""

    def __init__(self, settings: Settings, vault: FileVault, now: datetime) -> None:
        self._settings = settings
        self._vault = vault
        self._made = time_to_text(now)
        self._recipients = [named.key for named in accepted(settings.home)]

    def write(self, path: Path, kind: str, fill: Callable[[_Frames], None]) -> Made:
        """Write a file, read it back, and let it take its place."""
        us = self._settings.country
        head, cipher = begin(country=us, kind=kind, made=self._made, recipients=self._recipients)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with writing_durably(path) as stream:
                sealing = Sealing(stream, head, cipher)
                fill(_Frames(sealing))
                digest = sealing.close()
                signer = self._vault.own_signer()
                publics = {kid: public for kid, _, public in self._vault.public_keys()}
                sealing.sign(sign_backup(digest, read_head(head), signer, publics))
                return self._read_back(stream, path, cipher.again())
        except OSError as error:
            raise not_written(error, path, "The backup cannot be written") from None

    def data(self, out: _Frames) -> None:
        """Everything but keys."""
        with snapshot(self._settings.store_url) as view:
            head = view.audit_head()
            out.begin(
                self._begun(view, DATA_KIND)
                | {"audit": {"head": head.chain, "position": head.position}, "numbers": dict(view.numbers())}
            )
            out.tables(view, data_tables())
            stored = view.files(self._settings.country)
        for name, file in self._files():
            out.file(name, file)
        folder = self._settings.home / ATTACHMENTS
        out.end({file.owner for file in stored if out.blob(file.name, folder) < file.chunks})

    def keys(self, out: _Frames) -> None:
        """The keys of cases, and what else is secret in the home."""
        for _ in range(_ATTEMPTS):
            with snapshot(self._settings.store_url) as view:
                raw = self._vault_of(view)
                if raw is not None:
                    out.begin(self._begun(view, KEYS_KIND))
                    out.tables(view, KEY_TABLES)
                    out.raw_file(self._settings.vault_file.name, raw)
                    break
            time.sleep(_PAUSE_SECONDS)
        else:
            raise StoreUnavailable("The keys of cases are moving to their next epoch; try again.")
        for name, file in self._secrets():
            out.file(name, file)
        out.end(())

    def _vault_of(self, view: Snapshot) -> bytes | None:
        """Return the vault's bytes where they hold every epoch that the view needs."""
        before, needed = self._settings.vault_file.read_bytes(), view.epochs()
        held = self._vault.ring().epochs
        return before if needed <= set(held) and self._settings.vault_file.read_bytes() == before else None

    def _begun(self, view: Snapshot, kind: str) -> dict[str, Any]:
        return {
            "country": self._settings.country,
            "kind": kind,
            "made": self._made,
            "program": version("trm-broker"),
            "schema": view.schema,
        }

    def _files(self) -> Iterator[tuple[str, Path]]:
        home = self._settings.home
        for name in (self._settings.file.name, MEMBER_FILE, RECOVERY_FILE):
            yield name, home / name
        yield from _below(home, home / _TRUST)

    def _secrets(self) -> Iterator[tuple[str, Path]]:
        home, settings = self._settings.home, self._settings
        yield settings.token_key_file.name, settings.token_key_file
        yield from _below(home, settings.amqp_tls_folder)
        if settings.amqp_password_file is not None and settings.amqp_password_file.is_relative_to(home):
            yield str(settings.amqp_password_file.relative_to(home)), settings.amqp_password_file

    def _read_back(self, stream: BinaryIO, path: Path, cipher: FileCipher) -> Made:
        """Read what is on the disk, not what is in memory, and hold all of it against its account."""
        stream.flush()
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        outside = look(stream)
        manifest = read_through(stream, cipher)
        return Made(
            file=path,
            size=outside.size,
            digest=outside.signed.digest,
            kids=outside.head.kids,
            manifest=manifest,
        )


class _Frames:
    """Puts things into a file and keeps account of them."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing
        self._account = Account()

    def begin(self, document: Mapping[str, Any]) -> None:
        self._sealing.put(BEGIN, canonical.dump(document))

    def tables(self, view: Snapshot, names: tuple[str, ...]) -> None:
        for name in names:
            self._put(TABLE, canonical.dump({"columns": list(view.columns(name)), "table": name}))
            for block in view.rows(name):
                self._put(ROWS, block)

    def file(self, name: str, file: Path) -> None:
        """A file that is not there is not in the backup."""
        with suppress(FileNotFoundError), open_plain(file) as stream:
            self._put(FILE, canonical.dump({"file": name}))
            while block := stream.read(_BLOCK):
                self._put(DATA, block)

    def raw_file(self, name: str, raw: bytes) -> None:
        self._put(FILE, canonical.dump({"file": name}))
        self._put(DATA, raw)

    def blob(self, name: str, folder: Path) -> int:
        """Put the chunks of sealed bytes, one at a time; return how many there are on the disk."""
        place, put = folder / name[:2] / name, 0
        try:
            indices = sorted(int(entry.name) for entry in place.iterdir() if entry.name.isdecimal())
        except FileNotFoundError:
            return 0
        for index in indices:
            try:
                raw = (place / str(index)).read_bytes()
            except FileNotFoundError:  # deleted meanwhile
                continue
            self._put(BLOB, canonical.dump({"blob": name, "index": index}))
            self._put(DATA, raw)
            put += 1
        return put

    def end(self, lacking: Collection[str]) -> None:
        named = sorted(lacking)
        document = {
            "holds": self._account.document(),
            "lacking": named,
            "missing_blobs": len(named),
        }  # older readers count
        self._sealing.put(END, canonical.dump(document))

    def _put(self, kind: bytes, payload: bytes) -> None:
        self._account.take(Frame(kind=kind, payload=payload))
        self._sealing.put(kind, payload)


def _below(home: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the ordinary files of a folder that is inside the home, by their names in the home.

    Raises:
        OSError: a folder in it cannot be read.
    """
    if not folder.is_relative_to(home):
        return
    for file in files_below(folder):
        if _is_ordinary(file):
            yield file.relative_to(home).as_posix(), file


def _is_ordinary(file: Path) -> bool:
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except FileNotFoundError:  # replaced meanwhile
        return False


@contextmanager
def _destroyed_after(path: Path) -> Iterator[Path]:
    """Give the place of a file; when another has taken it, what stood in the old one is overwritten."""
    try:
        old = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        old = None
    except OSError as error:
        raise HomeInvalid(f"The backup cannot be written ({type(error).__name__}).", where=str(path)) from None
    try:
        yield path
        if old is not None:
            overwrite(old)
    finally:
        if old is not None:
            os.close(old)
