# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A case with a file and a sealed part, through two whole nodes and erased at both: then nothing of it is in any file.

Searched are all files below the folder of the test: both homes with database, journal, attachments and the adapter's
folders, the spool, temporary files, logs and backups. The same search is made with encryption switched off, where it has
to find every name in each place that holds messages or files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from broker.api.local_issuer import LocalIssuer
from broker.backup.making import back_up
from broker.backup.recovery import accept, create_recovery_key
from broker.core.audit import Who
from broker.core.erasures import ErasureState
from broker.core.ids import CountryCode, ProcedureId
from broker.core.messages import Uploaded
from broker.core.retention import EraseReason
from broker.core.roles import AuditRole
from broker.node import LOOPS, Node, open_office
from broker.running.loops import Bells
from broker.schema_files import load_catalogue, read_schema_file
from broker.sealed.sealing import seal_submission
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.storage.tables import metadata
from broker.system import SystemClock
from broker.testing.canaries import CANARIES, found_deep
from broker.testing.federation import Federation, make_federation
from broker.testing.no_cipher import CIPHER_USERS, UnsafeNoCipher
from broker.testing.offices import INSIDES, office, with_office_keys
from broker.testing.postgres import PostgresServer
from broker.transport.spool import SpoolTransport, create
from broker.vault import UNSAFE_DEV_KDF, open_vault

EE, FI = CountryCode("EE"), CountryCode("FI")
OFFICE = {EE: office("EE/social-insurance-board"), FI: office("FI/helsinki-wellbeing-services")}
ASKED, TOLD, SEALED, ATTACHED = CANARIES[0], CANARIES[1], CANARIES[2:6], CANARIES[6:]  # in which text each is planted
FILE = "".join(f"Invented words of {name}, for a test.\n" for name in ATTACHED).encode() * 50
BOUND_SECONDS = 60.0  # reached only when something hangs


# --- two whole nodes ------------------------------------------------------------------------------------------------


@dataclass
class Running:
    """A node that serves, and the bells that wake its loops."""

    node: Node
    bells: Bells

    @property
    def drop(self) -> Path:
        """The folder of its national system."""
        return self.node.settings.home / "filedrop"


@asynccontextmanager
async def serving(home: Path) -> AsyncIterator[Running]:
    """Build a node as `trm serve` does, and end it as that does."""
    settings = Settings.load(home)
    vault, bells = open_vault(settings), Bells(LOOPS)
    own = open_office(settings, vault, wake=lambda: bells.ring("dispatch"))
    assert settings.spool_folder is not None
    transport = SpoolTransport(settings.spool_folder, settings.country, own.clock, poll_seconds=0.05)
    node = Node(own, vault, transport, bells)
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(node.serve(address.set_result))
    async with asyncio.timeout(BOUND_SECONDS):
        await address
        yield Running(node, bells)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Awaitable[Any]], *running: Running) -> Any:
    """Wake every loop until it holds; return what it gave."""
    async with asyncio.timeout(BOUND_SECONDS):
        while not (given := await condition()):
            for one in running:
                one.bells.ring()
            await asyncio.sleep(0.1)
    return given


def federation(folder: Path, urls: Mapping[str, str]) -> Federation:
    """Two countries over one spool, whose offices have keys and a drop folder."""
    messages, procedures = load_catalogue().speaks()
    now = SystemClock().now()
    made = make_federation(
        folder, ("EE", "FI"), messages=messages, procedures=procedures, now=now,
        settings={name: {"log_level": "DEBUG", **({"store_url": urls[name]} if urls else {})} for name in ("EE", "FI")},
        filedrop={name: (OFFICE[name].authority,) for name in (EE, FI)},
    )  # fmt: skip
    for member in made.trust.members.values():
        made.office.set(with_office_keys(member, start=now), now=now)
    made.office.publish(now=now)
    create(made.spool_folder, (EE, FI))
    for name, home in made.homes.items():
        LocalIssuer.create(home / TOKEN_KEY_FILE, us=name, clock=SystemClock())
    return made


# --- the case -------------------------------------------------------------------------------------------------------


def example(name: str, sender: CountryCode, recipient: CountryCode, purpose: str) -> dict[str, Any]:
    """Return an example as these two offices exchange it, a name in its purpose."""
    return {
        **json.loads(read_schema_file(f"examples/best-interests/{name}.json")),
        "sender": {"authority": str(OFFICE[sender].authority)},
        "recipient": {"country": str(recipient), "authority": str(OFFICE[recipient].authority)},
        "legal_basis": {"code": "B2B_80"},
        "purpose": f"To find the mother of {purpose}",
    }


def information(own: Node, procedure: str) -> dict[str, Any]:
    """Return the answer, with what the child said of itself sealed to the other office."""
    data = {**example("information-five-elements", EE, FI, TOLD), "procedure": procedure}
    areas = ("SECURE_BASE", "PEERS", "HEALTH", "RUNNING_AWAY")
    said = [{"area": area, "level": "NEEDS_HELP", "words": name} for area, name in zip(areas, SEALED, strict=True)]
    data["body"]["self_assessment"] = {**json.loads(json.dumps(INSIDES["parts/self-assessment.json"])), "answers": said}
    desk = own.office
    return dict(
        seal_submission(
            data, country=EE, trust=desk.trust.current(), catalogue=desk.catalogue, now=desk.clock.now()
        ).data
    )


async def answer(estonia: Running) -> ProcedureId:
    """Estonia's office takes the request, and answers with a file."""
    (landed,) = await until(lambda: _files(estonia.drop / "in", "*.json"), estonia)
    desk, authority = estonia.node.office, OFFICE[EE].authority
    request = json.loads(landed.read_bytes())

    async def once() -> AsyncIterator[bytes]:
        yield FILE

    row = await desk.upload.begin(len(FILE), authority=authority, actor="officer", role=AuditRole.OFFICER)
    await desk.upload.append(row.id, authority=authority, offset=0, parts=once())
    file = Uploaded(upload=row.id, name=f"{ATTACHED[0]}.txt", kind="OTHER")
    submission = desk.catalogue.parse_submission(
        information(estonia.node, request["procedure"]["id"]), actor="officer", route="test", idempotency_key="answer"
    )
    return (await desk.submit(replace(submission, attachments=(file,)))).procedure


async def erase(running: Running, country: CountryCode, procedure: ProcedureId) -> None:
    """Two persons of an office erase the case; wait until every duty is done and it is final."""
    first, second = (
        Who(actor=actor, role=AuditRole.OFFICER, authority=OFFICE[country].authority) for actor in ("first", "second")
    )
    desk, store = running.node.office, running.node.office.store
    authority = first.authority

    async def nothing_owed() -> bool:
        _, listed = await desk.erase.look(procedure, EraseReason.COURT_ORDER, authority=authority)
        return not listed.hindrances

    await until(nothing_owed, running)
    proposed = await desk.erase.propose(procedure, EraseReason.COURT_ORDER, first)
    done = await desk.erase.confirm(proposed.id, second)
    assert done.state is ErasureState.ERASED

    async def final() -> bool:
        found = await store.read(lambda reader: reader.retention.erasure(done.id))
        return found is not None and found.final is not None

    async def fulfilled() -> bool:
        return await store.read(lambda reader: reader.retention.duties_of(done.id)) == 0

    await until(final, running)
    await until(fulfilled, running)


async def _files(folder: Path, pattern: str) -> list[Path]:
    return await asyncio.to_thread(_plain_files, folder, pattern)


def _plain_files(folder: Path, pattern: str) -> list[Path]:
    return [path for path in folder.glob(pattern) if path.is_file()]


# --- the search -----------------------------------------------------------------------------------------------------

PLACES = {  # the first that fits
    "spool": ("spool",),
    "backup": ("backup",),
    "adapter": ("EE/filedrop", "FI/filedrop"),
    "attachments": ("EE/attachments", "FI/attachments"),
    "database": ("EE/trm.db", "FI/trm.db"),
    "elsewhere": ("",),
}


def search(folder: Path) -> dict[str, set[str]]:
    """Return by place the names in all files there, or in their names."""
    names: dict[str, set[str]] = {place: set() for place in PLACES}
    searched = 0
    for path in folder.rglob("*"):
        within = path.relative_to(folder).as_posix()
        place = next(place for place, starts in PLACES.items() if within.startswith(starts))
        names[place] |= found_deep(within.encode() + (path.read_bytes() if path.is_file() else b""))
        searched += path.is_file()
    assert searched > 20
    return names


def search_rows(url: str) -> set[str]:
    """Return the names in any column of any table."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        rows = [row for table in metadata.tables for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
    engine.dispose()
    values = [value for row in rows for value in row]
    return found_deep(
        b"\n".join(bytes(one) if isinstance(one, (bytes, memoryview)) else str(one).encode() for one in values)
    )


@dataclass
class Seen:
    """What each search found, and what there was to be found."""

    moments: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    files: int = 0  # of attachments, when all had arrived

    def look(self, moment: str, folder: Path, urls: Mapping[str, str]) -> None:
        """Search everything now."""
        self.moments[moment] = search(folder)
        for url in urls.values():
            self.moments[moment]["database"] |= search_rows(url)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Path]:
    """A folder in which everything stands that the nodes write, also their logs and temporary files."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    handler = logging.FileHandler(tmp_path / "log")
    logging.getLogger().addHandler(handler)
    with caplog.at_level(logging.DEBUG):
        yield tmp_path
    logging.getLogger().removeHandler(handler)
    handler.close()


async def play(folder: Path, urls: Mapping[str, str]) -> Seen:
    """Ask, answer, back up, erase; search at each station."""
    made, seen = federation(folder, urls), Seen()
    estonia, finland = made.homes[EE], made.homes[FI]
    offered = finland / "filedrop" / "out" / "ask.json"
    offered.parent.mkdir()
    offered.write_text(json.dumps(example("request-grandmother-or-foster-care", FI, EE, ASKED)))
    async with serving(finland) as running:
        await until(lambda: _files(made.spool_folder / "EE" / "new", "*"), running)
    async with serving(estonia) as ours:
        procedure = await answer(ours)
        await until(lambda: _chunk_left(made.spool_folder / "FI" / "new"), ours)  # behind their message
        seen.look("on the way", folder, urls)
        async with serving(finland) as theirs:
            (landed,) = await until(lambda: _files(theirs.drop / "in", "*.txt"), theirs)
            assert landed.read_bytes() == FILE
            await until(lambda: _files(theirs.drop / "in", "*.json"), theirs)
            for home in (estonia, finland):
                _back_up(home, folder / "backup")
            seen.look("arrived", folder, urls)
            seen.files = len([path for home in made.homes.values() for path in (home / "attachments").rglob("[0-9]")])
            await erase(ours, EE, procedure)
            await erase(theirs, FI, procedure)
            seen.look("erased", folder, urls)
    for database in () if urls else (home / "trm.db" for home in made.homes.values()):
        with sqlite3.connect(database) as connection:  # the journal becomes part of the file, as it does every few MiB
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    seen.look("ended", folder, urls)
    return seen


async def _chunk_left(folder: Path) -> bool:
    return len(await _files(folder, "*.trmc")) == 1


def _back_up(home: Path, folder: Path) -> None:
    settings = Settings.load(home)
    key = folder / f"{settings.country}-officer.key"
    accept(home, create_recovery_key(key, settings.country, "officer", passphrase=b"for a test", kdf=UNSAFE_DEV_KDF)[0])
    to, keys_to = folder / "data", folder / "keys"
    back_up(settings, open_vault(settings), to=to, keys_to=keys_to, now=SystemClock().now())


def check(seen: Seen, *, encrypted: bool) -> None:
    """Say what may stand where."""
    nothing, everything, handed_over = set[str](), set(CANARIES), {ASKED, TOLD, *ATTACHED}
    way, arrived, erased, ended = (seen.moments[name] for name in ("on the way", "arrived", "erased", "ended"))
    assert seen.files == 2
    assert {place for moment in seen.moments.values() for place in ("elsewhere",) if moment[place]} == nothing
    assert way["adapter"] == {ASKED}
    assert [moment["adapter"] for moment in (erased, ended)] == [nothing, nothing]
    if encrypted:
        assert arrived["adapter"] == handed_over  # that is in clear by purpose; a sealed part never is
        for place in ("database", "attachments", "spool", "backup"):
            assert {name for moment in seen.moments.values() for name in moment[place]} == nothing, place
        return
    assert arrived["adapter"] == everything
    assert (way["database"], arrived["database"]) == (everything - {*ATTACHED[1:]}, everything - {*ATTACHED[1:]})
    assert (way["attachments"], arrived["attachments"]) == (set(ATTACHED), set(ATTACHED))
    assert (way["spool"], arrived["backup"]) == (everything - {ASKED}, everything)
    for place in ("attachments", "spool"):
        assert (erased[place], ended[place]) == (nothing, nothing)
    assert ended["database"] == nothing
    assert ended["backup"] == everything  # it is the keys alone that keep it closed


@pytest.mark.parametrize("encrypted", [True, False])
async def test_nothing_of_an_erased_case_stands_in_any_file(
    watched: Path, monkeypatch: pytest.MonkeyPatch, *, encrypted: bool
) -> None:
    """On the way, arrived, erased and ended: no name in any file but what an adapter was handed, and that goes too."""
    if not encrypted:
        for user in CIPHER_USERS:
            monkeypatch.setattr(f"{user}.AESGCM", UnsafeNoCipher)
    check(await play(watched, {}), encrypted=encrypted)


@pytest.mark.postgres
@pytest.mark.parametrize("encrypted", [True, False])
async def test_nothing_of_an_erased_case_stands_in_any_row_of_postgresql(
    watched: Path, monkeypatch: pytest.MonkeyPatch, postgres_run: PostgresServer, *, encrypted: bool
) -> None:
    """The same, looked for in every column of every table, and in all files beside the database."""
    if not encrypted:
        for user in CIPHER_USERS:
            monkeypatch.setattr(f"{user}.AESGCM", UnsafeNoCipher)
    urls = {name: postgres_run.database() for name in ("EE", "FI")}
    check(await play(watched, urls), encrypted=encrypted)
    for url in urls.values():
        postgres_run.drop(url)
