# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the doctor looks at: settings, trust list, keys, contents, adapters, schemas, tokens, disk, store, backup, clock, peers, transport."""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import shutil
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from broker.backup.noting import LastBackup, last_backup
from broker.backup.recovery import accepted
from broker.core.errors import BrokerError, StoreCorrupt, StoreNeedsMigration, StoreUnavailable, TransportUnavailable
from broker.core.ids import CountryCode
from broker.core.trust import TrustList
from broker.doctor import judging
from broker.doctor.judging import Finding, failed, ok, skipped, warning
from broker.ports import Clock
from broker.rows import MessageTimes
from broker.settings import FILE_NAME, Settings

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel

    from broker.security.at_rest import EpochRing

__all__ = ["examine"]

_CONNECT_SECONDS = 5.0
_LET_WRITE = "Give this account the right to write there, as by a group that all nodes of this folder are in."
_NEWEST = 200  # messages of each direction that clock and peers are judged by
_NEXT = {
    "settings-invalid": "Mend that line; the manual's table lists every setting.",
    "home-invalid": "Check the folder and its owner: this home stays as it is, and none is made anew.",
    "vault-locked": "Give the right passphrase where the setting `passphrase_file` says.",
    "certificate-invalid": "Run 'trm broker certificate request', and 'install' what the broker's operator returns.",
    "key-missing": "Restore the file from its backup.",
    "trust-list-invalid": "Join the federation (trm trust join), or fetch its list again: trm trust refresh.",
    "catalogue-invalid": "Install the program again, or mend the setting `catalogue_folder`.",
    "store-unavailable": "Start the database, mend the setting `store_url`, or the rights of its file.",
    "store-needs-migration": "Start the node of this version once: it brings the database up to date.",
    "backup-invalid": "Have the officers hand over the public halves of their recovery keys: trm backup accept.",
    "disk-full": "Free room on the disk.",
    "transport-unavailable": "Start the message broker, or mend address and password in the settings and restart the node.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one look at the store showed."""

    rows: tuple[MessageTimes, ...]
    attention: int
    backup: LastBackup | None


async def examine(home: Path, clock: Clock) -> tuple[Finding, ...]:
    """Return one finding per check, in the order in which to mend them."""
    try:
        settings = Settings.load(home)
    except BrokerError as error:
        unread = [skipped(name, "the settings cannot be read") for name in _AFTER_SETTINGS]
        found = _of(error, "settings")
        if _missing(home) or _missing(home / FILE_NAME):
            found = replace(
                found, advice="Name the node's own folder with --home; only where there is no node yet: trm init."
            )
        return (found, *unread)
    patient = _Patient(settings, clock)
    return tuple([await check() for check in patient.checks()])


class _Patient:
    """One home, its checks in order; later ones use what earlier ones found."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._trust: TrustList | None = None
        self._seen: _Seen | None = None
        self._ring: Callable[[], EpochRing] | None = None
        self._certified = False  # whether the broker can be asked: no certificate is needed, or it can be read

    def checks(self) -> tuple[Callable[[], Awaitable[Finding]], ...]:
        """Return the checks; each is run through `_guarded`, so that one failure hides no other.

        The clock comes before what is judged by it: keys and certificates of a sound node look ended by a wrong one.
        """
        return (
            self._guarded("settings", self._settings_file),
            self._guarded("disk", self._disk),
            self._guarded("store", self._store),
            self._guarded("clock", self._clock_right),
            self._guarded("trust", self._trust_list),
            self._guarded("keys", self._keys),
            self._guarded("contents", self._contents),
            self._guarded("offices", self._offices),
            self._guarded("adapters", self._adapters),
            self._guarded("catalogue", self._catalogue),
            self._guarded("tokens", self._tokens),
            self._guarded("backup", self._backup),
            self._guarded("certificate", self._certificate),
            self._guarded("broker", self._transport),
            self._guarded("peers", self._peers),
            self._guarded("attention", self._attention),
        )

    def _guarded(self, name: str, check: Callable[[], Awaitable[Finding]]) -> Callable[[], Awaitable[Finding]]:
        async def guarded() -> Finding:
            try:
                return await check()
            except BrokerError as error:
                return _of(error, name)
            except Exception as error:
                return failed(name, f"The check itself failed ({type(error).__name__}).", "Report this.")

        return guarded

    async def _settings_file(self) -> Finding:
        settings = self._settings
        for path in (settings.file, settings.vault_file):
            if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                return warning("settings", f"Others on this machine can read {path}.", f"Run: chmod 600 {path}")
        return ok("settings", f"{settings.file} is the home of {settings.country}'s node.")

    async def _trust_list(self) -> Finding:
        from broker.trust.opening import client_for, trust_in_force

        trust = self._trust = await asyncio.to_thread(trust_in_force, self._settings)
        finding = judging.judge_trust(trust, self._clock.now())
        await asyncio.to_thread(lambda: client_for(self._settings).fetch())  # the source as a new node would read it
        return finding

    async def _keys(self) -> Finding:
        from broker.vault import open_vault

        if self._trust is None:
            return skipped("keys", "the trust list cannot be read")
        vault = open_vault(self._settings)  # not in a thread: it may ask for the passphrase, and Ctrl-C must end that
        _ = vault.ring().newest  # without a key for data at rest no node starts
        self._ring = vault.ring
        held = [kid for kid, _, _ in vault.public_keys()]
        return judging.judge_keys(self._trust.members.get(self._settings.country), held, self._clock.now())

    async def _contents(self) -> Finding:
        from broker.storage import AtRest, open_store

        if self._ring is None or self._seen is None:
            return skipped("contents", "the vault or the store cannot be read")
        store = open_store(self._settings.store_url, us=self._settings.country, cipher=AtRest(self._ring))
        try:
            return judging.judge_contents(*await store.read(lambda reader: reader.count_keys()))
        finally:
            await store.close()

    async def _offices(self) -> Finding:
        if self._trust is None:
            return skipped("offices", "the trust list cannot be read")
        return judging.judge_offices(self._trust.members.get(self._settings.country), self._clock.now())

    async def _adapters(self) -> Finding:
        from broker.adapter_api import discover

        known, stated = discover(), self._settings.adapters  # none is made: it might do more than look
        missing = [name for name, one in stated.items() if (one.use or name) not in known]
        member = None if self._trust is None else self._trust.members.get(self._settings.country)
        return judging.judge_adapters({name: one.authorities for name, one in stated.items()}, missing, member)

    async def _catalogue(self) -> Finding:
        from broker.schema_files import load_catalogue
        from broker.trust.opening import open_catalogue

        try:
            catalogue, signed = open_catalogue(self._settings)
        except (StoreNeedsMigration, StoreUnavailable, StoreCorrupt):  # told by the store's own check
            catalogue, signed = load_catalogue(self._settings.catalogue_folder), None
        whose = "of this program" if signed is None else "that the trust list names"
        return ok("catalogue", f"{len(catalogue.types())} message types are known, by the catalogue {whose}.")

    async def _tokens(self) -> Finding:
        from broker.office import local_issuer

        if self._settings.token_issuer is not None:
            return ok("tokens", "Access tokens come from the issuer that the settings name.")
        local_issuer(self._settings)
        return ok("tokens", "The node's own issuer has its key: 'trm token' makes access tokens.")

    async def _disk(self) -> Finding:
        home = self._settings.home
        if not _writable(home):
            advice = "Give this account the right to write there; see too whether its disk is mounted read-only."
            return failed("disk", f"This account may not write into {home}.", advice)
        return judging.judge_disk(shutil.disk_usage(home).free, home)

    async def _store(self) -> Finding:
        from broker.storage import is_empty, locked, open_store

        if is_empty(self._settings.store_url):
            return skipped("store", "there is nothing in the database yet, the node's first start makes its tables")
        store = open_store(self._settings.store_url, us=self._settings.country, cipher=locked())
        try:
            rows = await store.read(lambda reader: reader.message_times(_NEWEST))
            counts = await store.read(lambda reader: reader.counts())
            backup = await store.read(last_backup)
        finally:
            await store.close()
        self._seen = _Seen(rows=rows, attention=counts.get("attention", 0), backup=backup)
        waiting = sum(number for name, number in counts.items() if name in {"outbox.recorded", "inbox.recorded"})
        return ok("store", f"The database answers; {waiting} messages wait to be sent or handed over.")

    async def _backup(self) -> Finding:
        if self._seen is None:
            return skipped("backup", "the store cannot be read")
        return judging.judge_backup(self._seen.backup, accepted(self._settings.home), self._clock.now())

    async def _clock_right(self) -> Finding:
        rows = self._seen.rows if self._seen else ()
        past = [row.at for row in rows] + [_made(self._settings.file), _made(Path(__file__))]
        return judging.judge_clock(self._clock.now(), not_before=max(past), skew=judging.skews(rows))

    async def _transport(self) -> Finding:
        if self._settings.transport == "spool":
            return _spool(self._settings, self._trust, self._settings.country)
        if not self._certified:
            return skipped("broker", "it is asked with the certificate")
        return await _rabbitmq(self._settings, self._clock)

    async def _certificate(self) -> Finding:
        from broker.certificates.folder import CertificateFolder

        settings = self._settings
        if settings.transport == "spool" or not settings.amqp_address().startswith("amqps:"):
            self._certified = True
            return ok("certificate", "This node's transport needs no certificate.")
        folder, now = CertificateFolder(settings.amqp_tls_folder, settings.country), self._clock.now()
        ends = folder.read(now).ends
        self._certified = True
        return judging.judge_certificate(ends, now, open_to_others=folder.open_to_others)

    async def _peers(self) -> Finding:
        if self._trust is None or self._seen is None:
            return skipped("peers", "the trust list or the store cannot be read")
        patience = timedelta(hours=self._settings.ladder.delivered_warn_hours)
        return judging.judge_peers(
            self._trust, self._settings.country, self._seen.rows, now=self._clock.now(), patience=patience
        )

    async def _attention(self) -> Finding:
        if self._seen is None:
            return skipped("attention", "the store cannot be read")
        return judging.judge_attention(self._seen.attention)


_AFTER_SETTINGS = (
    "disk", "store", "clock", "trust", "keys", "contents", "offices", "adapters", "catalogue", "tokens", "backup", "certificate", "broker", "peers",
    "attention",
)  # fmt: skip


def _of(error: BrokerError, name: str) -> Finding:
    where = f" ({error.where})" if error.where else ""
    return failed(name, f"{error.detail}{where}", _NEXT.get(error.code, f"This is for the {error.who.value}."))


def _missing(path: Path) -> bool:
    """Whether nothing is there; what may not be looked at is somebody's."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _made(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _spool(settings: Settings, trust: TrustList | None, us: CountryCode) -> Finding:
    folder = settings.spool_folder
    if folder is None or _missing(folder):
        advice = "Mount its disk or stick, or mend the setting `spool_folder`."
        return failed("broker", f"The spool folder is not there: {folder}.", advice)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return failed("broker", f"This account may not read and write the spool folder {folder}.", _LET_WRITE)
    peers = sorted(trust.members) if trust else [us]
    parts = {c: [folder / c / part for part in ("tmp", "new", *(["claimed"] if c == us else []))] for c in peers}
    missing = [country for country in peers if any(map(_missing, parts[country]))]
    barred = [country for country in peers if country not in missing and not all(map(_writable, parts[country]))]
    if barred:
        sentence = f"This account may not write into the folder of {', '.join(barred)} in the spool {folder}."
        return failed("broker", sentence, _LET_WRITE)
    if missing:
        folders = " ".join(f"{shlex.quote(str(folder))}/{country}/{{tmp,new,claimed}}" for country in missing)
        return warning("broker", f"The spool has no folder for {', '.join(missing)}.", f"Run: mkdir -p {folders}")
    return ok("broker", f"Envelopes travel through the folder {folder}; no server is needed.")


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


async def _rabbitmq(settings: Settings, clock: Clock) -> Finding:
    """Log in as the node does and look at our own queue, passively: consuming belongs to the node."""
    from broker.transport.rabbit_link import RabbitLink, RabbitOptions
    from broker.transport.rabbit_tls import tls_of
    from broker.transport.topology import in_queue

    address = settings.amqp_address()
    tls = tls_of(address, settings.amqp_tls_folder, settings.country, clock.now)
    options = RabbitOptions(url=address, us=settings.country, tls=tls, connect_timeout_seconds=_CONNECT_SECONDS)
    seen: list[_Queue] = []

    async def look(channel: AbstractChannel, lost: asyncio.Event) -> _Queue:
        answer = await channel.queue_declare(in_queue(settings.country), passive=True)
        seen.append(_Queue(lost, waiting=answer.message_count or 0, readers=answer.consumer_count or 0))
        return seen[-1]

    link = RabbitLink(options, clock, random.random, name="doctor", open_session=look, confirms=False)
    link.start()
    try:
        trouble = await link.trouble()
    finally:
        await link.close()
    if trouble is not None or not seen:
        raise TransportUnavailable(trouble, where=address.rpartition("@")[2])
    if not seen[0].readers:
        sentence = f"The broker answers; {seen[0].waiting} envelopes wait and nobody reads our queue."
        return warning("broker", sentence, "Start the node: trm serve.")
    return ok("broker", f"The broker answers; {seen[0].waiting} envelopes wait, {seen[0].readers} readers.")


class _Queue:
    """A session that only looks."""

    doubted = False

    def __init__(self, lost: asyncio.Event, *, waiting: int, readers: int) -> None:
        self.lost = lost
        self.waiting = waiting
        self.readers = readers

    async def trouble(self) -> str | None:
        return None

    async def watch(self) -> None:
        """Nothing is watched: the connection is closed after one look."""
        await self.lost.wait()

    async def finish(self) -> None:
        """Nothing is ever in flight."""
