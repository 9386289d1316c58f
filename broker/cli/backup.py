# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm backup` and `trm restore`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from broker.backup.container import look
from broker.backup.contents import Manifest
from broker.backup.making import Made, back_up
from broker.backup.noting import note
from broker.backup.recovery import NamedKey, accepted, create_recovery_key, open_recovery_key, read_public
from broker.backup.recovery import accept as accept_key
from broker.backup.recovery import end as end_key
from broker.backup.restoring import Restored, open_backup
from broker.backup.restoring import restore as restore_home
from broker.cli import output
from broker.cli.acting import operator
from broker.cli.input import parsed
from broker.cli.new_passphrase import new_passphrase
from broker.core.content import time_to_text
from broker.core.errors import BackupInvalid
from broker.core.ids import CountryCode, KeyId
from broker.plain_files import open_plain
from broker.security.backup_file import BackupHead
from broker.settings import Settings
from broker.storage import locked, open_store
from broker.store_address import store_in
from broker.system import SystemClock
from broker.vault import open_vault
from broker.vault.passphrase import read_source

__all__ = ["accept", "key", "make", "restore", "verify"]


def make(home: Path, *, to: Path, keys_to: Path, as_json: bool) -> None:
    """Write both backups and note it in the audit trail.

    Raises:
        NodeError: one of them was not written; the last one of keys is as it was.
    """
    settings = Settings.load(home)
    data, keys = back_up(settings, open_vault(settings), to=to, keys_to=keys_to, now=SystemClock().now())
    asyncio.run(_note(settings, data))

    def people() -> None:
        manifest = data.manifest
        chunks, size = manifest.stored_files
        output.console().print(
            f"Data: {data.file} ({data.size:,} bytes, {manifest.count('outbox'):,} messages sent, "
            f"{manifest.count('inbox'):,} received, files in {chunks:,} chunks of {size:,} bytes)\n"
            f"Keys: {keys.file} ({keys.size:,} bytes); it took the place of the last one: keep no copy of that\n"
            f"Both were read back whole. They open under: {', '.join(_kids(data))}"
        )
        _print_lacking(manifest.lacking)

    output.answer({"data": _made(data), "keys": _made(keys)}, as_json=as_json, people=people)


def verify(file: Path, *, recovery: Path | None, passphrase: str | None, as_json: bool) -> None:
    """Check a file and say what it is.

    Raises:
        BackupInvalid: it is not whole.
        HomeInvalid, VaultLocked: a file cannot be read, or the recovery key not opened.
    """
    manifest: Manifest | None = None
    if recovery is not None:
        opener = open_recovery_key(recovery, _secret(passphrase))
        with open_backup(file, opener) as opened:
            outside, manifest = opened.outside, opened.manifest
    else:
        with open_plain(file) as stream:
            outside = look(stream)
    document = _head(outside.head) | {"bytes": outside.size, "digest": outside.signed.digest, "opened": bool(manifest)}
    if manifest is not None:
        document |= {
            "schema": manifest.begin["schema"],
            "holds": manifest.holds,
            "lacking": list(manifest.lacking),
        }

    def people() -> None:
        checked = (
            "it opens, and holds what it says" if manifest else "not opened: name --recovery to check what it holds"
        )
        output.console().print(
            f"Backup of {outside.head.kind} of {outside.head.country}, made {outside.head.made}: "
            f"{outside.size:,} bytes, as they were signed\nInside: {checked}"
        )

    output.answer(document, as_json=as_json, people=people)


def key(country: str, *, label: str, out: Path, passphrase: str | None, as_json: bool) -> None:
    """Make a recovery key.

    Raises:
        BadRequest: that is no country, or the passphrase is too short.
        HomeInvalid, VaultLocked, DiskFull: it cannot be written.
    """
    us = parsed(CountryCode, country, "--country")
    named, public = create_recovery_key(out, us, label, passphrase=new_passphrase(str(out), passphrase))

    def people() -> None:
        output.console().print(
            f"Private: {out} (keep it offline, and its passphrase elsewhere)\nPublic:  {public}\nId:      {named.kid}\n"
            f"Next, at the node: trm backup accept {output.word(public.name)} --home HOME, and compare the id"
        )

    output.answer({"id": named.kid, "file": str(out), "public": str(public)}, as_json=as_json, people=people)


def accept(public: Path, home: Path, *, as_json: bool) -> None:
    """Add a recovery key to the node's.

    Raises:
        BackupInvalid: it is none, or another country's.
        HomeInvalid, DiskFull: it cannot be written.
    """
    settings, named = Settings.load(home), read_public(public)
    if named.country != settings.country:
        raise BackupInvalid(f"The recovery key is for {named.country}, the node is {settings.country}'s.")
    _tell_recovery_keys(accept_key(settings.home, named), "", as_json=as_json)


def list_keys(home: Path, *, as_json: bool) -> None:
    """Show the recovery keys that the node encrypts its backups to.

    Raises:
        BackupInvalid, HomeInvalid: their file cannot be read.
    """
    _tell_recovery_keys(accepted(Settings.load(home).home), "", as_json=as_json)


def end(key: str, home: Path, *, as_json: bool) -> None:
    """Take a recovery key from the node's.

    Raises:
        BadRequest: the node has no such key, or no other.
        BackupInvalid, HomeInvalid, DiskFull: their file cannot be read or written.
    """
    kid = parsed(KeyId, key, "KEY")
    said = (
        "Backups that were made before still open with it. Next: trm backup make, which overwrites the backup of keys; "
        "destroy every other copy of that one."
    )
    _tell_recovery_keys(end_key(Settings.load(home).home, kid), said, as_json=as_json)


def _tell_recovery_keys(keys: Sequence[NamedKey], said: str, *, as_json: bool) -> None:
    def people() -> None:
        output.table(("kept by", "id"), [(item.label, item.kid) for item in keys], wide=("id",))
        if said:
            output.console().print(said)

    output.answer({"keys": [{"id": item.kid, "label": item.label} for item in keys]}, as_json=as_json, people=people)


def restore(
    data: Path,
    *,
    keys: Path,
    recovery: Path,
    home: Path,
    store_url: str | None,
    passphrase: str | None,
    vault_passphrase: str | None,
    as_json: bool,
) -> None:
    """Make a home anew.

    Raises:
        NodeError: it was not made.
    """
    done = restore_home(
        data,
        keys,
        open_recovery_key(recovery, _secret(passphrase)),
        home=home,
        now=SystemClock().now(),
        actor=operator().actor,
        store_url=None if store_url is None else store_in(Path.cwd(), store_url),
        passphrase=_absolute(vault_passphrase),
    )
    output.answer(_restored(done), as_json=as_json, people=lambda: _print_restored(done))


def _secret(source: str | None) -> bytes:
    return read_source(source or "prompt", home=Path.cwd())


def _absolute(source: str | None) -> str | None:
    """Return a place of a passphrase that does not depend on the home: a path is meant from here."""
    return source if source is None or source == "prompt" or ":" in source else str(Path.cwd() / source)


def _restored(done: Restored) -> dict[str, Any]:
    return {
        "home": str(done.home),
        "country": done.country,
        "made": time_to_text(done.made),
        "rows": done.rows,
        "erased": done.erased,
        "lacking": list(done.lacking),
    }


def _print_lacking(messages: Sequence[str]) -> None:
    """Name the messages and uploads whose files should be on the disk and are not."""
    if messages:
        output.console().print(
            "Files of these messages, or of uploads for none yet, are not whole on the disk, and so not in the backup. After "
            "a restore the node asks for received ones again; one's own are to be uploaded again:\n"
            + "\n".join(f"  {message}" for message in messages)
        )


def _print_restored(done: Restored) -> None:
    output.console().print(
        f"{done.home} holds the node of {done.country} as it was on {time_to_text(done.made)}: {done.rows:,} rows.\n"
        f"Cases that are erased stay erased: {done.erased:,}.\n"
        f"What happened since is missing here: the other countries still hold their part of it.\n"
        f"Next: trm doctor --home {output.word(done.home)}, then trm serve --home {output.word(done.home)}; "
        "never start the old node again"
    )
    _print_lacking(done.lacking)


async def _note(settings: Settings, data: Made) -> None:
    store = open_store(settings.store_url, us=settings.country, cipher=locked())
    try:
        await store.run(lambda tx: tx.audit(note(data, operator(), SystemClock().now())))
    finally:
        await store.close()


def _made(made: Made) -> dict[str, Any]:
    return {
        "file": str(made.file),
        "bytes": made.size,
        "digest": made.digest,
        "rows": made.manifest.rows,
        "chunks": made.manifest.stored_files[0],
        "lacking": list(made.manifest.lacking),
        "recovery_keys": _kids(made),
    }


def _kids(made: Made) -> list[str]:
    return [str(kid) for kid in made.kids]


def _head(head: BackupHead) -> dict[str, Any]:
    return {"country": head.country, "kind": head.kind, "made": head.made, "recovery_keys": list(head.kids)}
