# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Making a node anew from a backup of data and one of keys: whole or not at all.

- Both files are read to their end and held against signature and account before anything is written.
- The home grows beside its place under another name and is renamed at the end; the tables come in in one transaction.
  Where its folder is there already, an account's own or a disk's, it grows in it, and the settings take their place last.
  An interrupted restore is begun anew by the same command.
- Whose signature it is says the vault: it names every key that it ever held.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from broker.backup.container import Frame, Outside, look
from broker.backup.contents import BLOB, DATA, DATA_KIND, FILE, KEYS_KIND, ROWS, TABLE, Manifest, read_through, stated
from broker.backup.making import ATTACHMENTS
from broker.core.audit import AuditAction, AuditRow
from broker.core.content import time_from_text
from broker.core.errors import BackupInvalid, HomeInvalid, SettingsInvalid
from broker.core.ids import CountryCode
from broker.core.roles import AuditRole
from broker.durable import not_written, sync_folder, write_durably
from broker.home import write_toml
from broker.ownership import check_owner
from broker.plain_files import open_plain
from broker.security.backup_file import open_head
from broker.security.suite import Opener
from broker.settings import FILE_NAME, Settings
from broker.storage.dump import Loading, loading, restored_already
from broker.storage.presence import refuse_beside
from broker.storage.schema import parse_url, refuse_newer, sqlite_path
from broker.store_address import sqlite_url
from broker.vault import Unlocking, VaultFile

__all__ = ["Opened", "Restored", "open_backup", "restore"]

_STAGING = ".restoring"  # in the home, or behind a dot and its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A backup that was read to its end and holds what it says."""

    stream: BinaryIO
    outside: Outside
    manifest: Manifest

    @property
    def country(self) -> CountryCode:
        """Whose it is."""
        return self.outside.head.country

    @property
    def made(self) -> datetime:
        """When it was begun."""
        return time_from_text(self.outside.head.made)

    @property
    def schema(self) -> str:
        """The revision of the tables that its rows are of."""
        return str(self.manifest.begin.get("schema"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore left."""

    home: Path
    country: CountryCode
    made: datetime  # of the backup of data: what happened since is missing
    rows: int
    erased: int  # cases whose key is destroyed: what the data holds of them opens nothing
    lacking: tuple[str, ...]  # messages and uploads whose files were not whole on the old disk


@contextmanager
def open_backup(file: Path, opener: Opener, *, kind: str | None = None) -> Iterator[Opened]:
    """Give a backup once all of it was read.

    Raises:
        BackupInvalid: it is damaged, of another kind, or not opened by this recovery key.
        HomeInvalid: it cannot be read.
    """
    try:
        with open_plain(file) as stream:
            outside = look(stream)
            if kind is not None and outside.head.kind != kind:
                raise BackupInvalid(f"This is a backup of {outside.head.kind}, not of {kind}.", where=str(file))
            manifest = read_through(stream, open_head(outside.raw_head, opener))
            begin = manifest.begin
            said = (begin.get("country"), begin.get("kind"), begin.get("made"))
            if said != (outside.head.country, outside.head.kind, outside.head.made):
                raise BackupInvalid("The backup says one thing outside and another inside.", where=str(file))
            yield Opened(stream=stream, outside=outside, manifest=manifest)
    except BackupInvalid as error:
        raise BackupInvalid(error.detail, where=error.where or str(file)) from None
    except OSError as error:
        raise not_written(error, file, "The folder or file cannot be used") from None


def restore(
    data_file: Path,
    keys_file: Path,
    opener: Opener,
    *,
    home: Path,
    now: datetime,
    actor: str,
    store_url: str | None = None,
    passphrase: str | None = None,
) -> Restored:
    """Make the home and fill its database.

    Args:
        data_file, keys_file: the two backups.
        opener: over a recovery key of both.
        home: where the home will be; nothing may be there.
        now, actor: for the audit trail.
        store_url: another database than the settings name; None: theirs, or a file in the home.
        passphrase: where the vault's passphrase is, if elsewhere than the settings say.

    Raises:
        BackupInvalid: a file is damaged, of another country, signed by somebody else, or the keys are older than the data.
        HomeInvalid: there is something already, the folder is another account's, or one cannot be written.
        NodeRunning: a node runs there.
        StoreNeedsMigration: the backup is of a newer program.
        VaultLocked, SettingsInvalid: the vault does not open.
        StoreUnavailable, DiskFull: nothing was changed but the folder that the next attempt throws away.
    """
    home = home.absolute()
    with ExitStack() as stack:
        data = stack.enter_context(open_backup(data_file, opener, kind=DATA_KIND))
        keys = stack.enter_context(open_backup(keys_file, opener, kind=KEYS_KIND))
        _check_pair(data, keys)
        for backup in (data, keys):
            refuse_newer(backup.schema)
        staging = home / _STAGING if home.is_dir() else home.with_name(f".{home.name}{_STAGING}")
        try:
            _refuse_occupied(home)
            _clear(staging, home)
            staging.mkdir(mode=0o700, parents=True)
            for backup in (data, keys):
                _unpack(backup, opener, staging)
            settings = _settings(staging, store_url, passphrase)
            _check_signer(settings, data, keys)
            erased = _fill(settings, data, keys, opener, _note(data, now, actor))
            _synchronise(staging)
            _take_place(staging, home)
        except OSError as error:
            raise not_written(error, home, "The folder or file cannot be used") from None
        return Restored(
            home=home,
            country=data.country,
            made=data.made,
            rows=data.manifest.rows,
            erased=erased,
            lacking=data.manifest.lacking,
        )


def _check_pair(data: Opened, keys: Opened) -> None:
    if data.country != keys.country:
        raise BackupInvalid(f"The data are of {data.country} and the keys of {keys.country}.")
    if keys.made < data.made:
        raise BackupInvalid("The keys are older than the data: take the newest backup of keys, of which there is one.")


def _refuse_occupied(home: Path) -> None:
    if not home.exists():
        return
    if home.is_dir():
        check_owner(home)
        if _is_half_restored(home) or not any(home.iterdir()):
            return
        refuse_beside(home / "trm.db")
    raise HomeInvalid("There is something already: nothing is ever restored over something.", where=str(home))


def _is_half_restored(home: Path) -> bool:
    """Whether all that lies there is of a restore that was interrupted: one begins in an empty folder alone."""
    return (home / _STAGING).is_dir() and not (home / FILE_NAME).exists()


def _clear(staging: Path, home: Path) -> None:
    """Throw away what an interrupted restore left."""
    for place in home.iterdir() if staging.parent == home else (staging,):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def _unpack(backup: Opened, opener: Opener, staging: Path) -> None:
    """Write files and sealed bytes of a backup into the folder."""
    into: list[Path] = []

    def take(frame: Frame) -> None:
        if frame.kind == FILE:
            into[:] = [staging / _inside(stated(frame)["file"])]
        elif frame.kind == BLOB:
            said = stated(frame)
            name, index = str(said["blob"]), int(said["index"])
            into[:] = [staging / ATTACHMENTS / _inside(f"{name[:2]}/{name}/{index}")]
        elif frame.kind == DATA:
            into[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _append(into[0], frame.payload)

    read_through(backup.stream, open_head(backup.outside.raw_head, opener), take)


def _append(file: Path, raw: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(raw)
        stream.flush()
        os.fsync(descriptor)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise BackupInvalid("The backup has a file that would lie outside of the home.")
    return path


def _settings(staging: Path, store_url: str | None, passphrase: str | None) -> Settings:
    """Return the settings as they hold while the home is not in its place yet; write them as they hold afterwards."""
    try:
        stated_settings: dict[str, Any] = tomllib.loads((staging / FILE_NAME).read_text("utf-8"))
    except FileNotFoundError:
        raise BackupInvalid("The backup has no settings.") from None
    except (ValueError, UnicodeDecodeError):
        raise SettingsInvalid("The settings in the backup cannot be read.", where=FILE_NAME) from None
    if store_url is not None:
        stated_settings["store_url"] = store_url
        write_durably(staging / FILE_NAME, write_toml(stated_settings).encode("utf-8"))
    if passphrase is not None:
        stated_settings["passphrase_file"] = passphrase
    return Settings.checked(staging, stated_settings)


def _check_signer(settings: Settings, *backups: Opened) -> None:
    """Believe only what was signed by a key of the vault: also one that it has destroyed since."""
    contents = VaultFile(settings.vault_file, Unlocking(settings)).read()
    known = {entry.id for entry in contents.entries}
    for backup in backups:
        if contents.us != backup.country or not known.issuperset(backup.outside.signed.kids):
            raise BackupInvalid("The backup was not signed by this node's keys.")


def _fill(settings: Settings, data: Opened, keys: Opened, opener: Opener, note: AuditRow) -> int:
    """Fill the database, unless an attempt that was interrupted has done so; return how many cases are erased."""
    url, mark = settings.store_url, str(data.outside.signed.digest)
    path = sqlite_path(parse_url(url))
    done = restored_already(url, mark)
    if done is not None:
        return done
    if path is not None and path.exists():
        raise HomeInvalid("There is a database file already: nothing is ever restored over something.", where=str(path))
    target = path
    if path is not None:
        refuse_beside(path)
        target = path.with_name(f".{path.name}{_STAGING}")
        target.unlink(missing_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        url = sqlite_url(target)
    with loading(url, data.schema) as into:
        for backup in (data, keys):  # each into the tables of the program that wrote it: the keys may be of a later one
            into.bring_to(backup.schema)
            read_through(backup.stream, open_head(backup.outside.raw_head, opener), _Rows(into).take)
        into.count_on(data.manifest.begin["numbers"])
        erased = into.finish(mark, note, data.made, us=data.country, lacking=data.manifest.lacking)
    if path is not None and target is not None:
        target.replace(path)
        sync_folder(path.parent)
    return erased


class _Rows:
    """Takes the rows of a backup's tables."""

    def __init__(self, into: Loading) -> None:
        self._into = into
        self._table: tuple[str, list[str]] | None = None

    def take(self, frame: Frame) -> None:
        if frame.kind == TABLE:
            said = stated(frame)
            self._table = (said["table"], said["columns"])
        elif frame.kind == ROWS and self._table is not None:
            self._into.take(*self._table, frame.payload)


def _note(data: Opened, now: datetime, actor: str) -> AuditRow:
    """Return what the audit trail says: from where on entries are missing, in people's and other countries' sight."""
    trail = data.manifest.begin["audit"]
    return AuditRow(
        at=now,
        actor=actor,
        role=AuditRole.OPERATOR,
        action=AuditAction.RESTORED,
        subject=str(data.outside.signed.digest),
        detail=f"made {data.outside.head.made} behind position-{trail['position']}",
    )


def _synchronise(folder: Path) -> None:
    for place, _, _ in os.walk(folder):
        sync_folder(Path(place))


def _take_place(staging: Path, home: Path) -> None:
    if staging.parent == home:
        for place in staging.iterdir():
            if place.name != FILE_NAME:
                place.replace(home / place.name)
        sync_folder(home)
        (staging / FILE_NAME).replace(home / FILE_NAME)  # a home that has settings is whole
        staging.rmdir()
        sync_folder(home)
    else:
        staging.replace(home)
        sync_folder(home.parent)
