# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An erased case is gone everywhere and for good: in old copies, after any crash, whatever came in which order (P8)."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from adapters.filedrop.adapter import create
from broker.core.audit import Who
from broker.core.erasures import Erasure, ErasureState
from broker.core.errors import AlreadySettled, CaseKeyMissing, SenderError
from broker.core.ids import AuthorityId, CountryCode, ProcedureId
from broker.core.retention import EraseReason, HoldReason
from broker.core.roles import AuditRole
from broker.rows import Accepted, MessageFilter
from broker.schema_files import read_schema_file
from broker.security.at_rest import EpochRing
from broker.storage import AtRest, open_store
from broker.storage.tables import metadata
from broker.testing.at_rest import UnsafeClear
from broker.testing.canaries import CANARIES, found
from broker.testing.crashes import Crash
from broker.testing.world import Country, World

BOARD = AuthorityId("social-insurance-board")
FIRST = Who(actor="first", role=AuditRole.OFFICER, authority=BOARD)
SECOND = Who(actor="second", role=AuditRole.OFFICER, authority=BOARD)
ORDER = EraseReason.COURT_ORDER
KEY_TABLES = ("case_key", "key_epoch")


class Clear(UnsafeClear):
    """Stores contents as they are, and has the node's epochs all the same."""

    def __init__(self, ring: Callable[[], EpochRing]) -> None:
        AtRest.__init__(self, ring)

    def token(self, purpose: str, *values: str) -> str:
        """Return a true token: a message's nonce is made of one."""
        return AtRest.token(self, purpose, *values)


async def answered(world: World, **changes: Any) -> Accepted:
    """A request of EE with names in it that FI has read, and acknowledged."""
    request = json.loads(read_schema_file("examples/demo/request.json"))
    request["purpose"] = f"To find the mother of {CANARIES[0]}"
    accepted = await world["EE"].submit(request, **changes)
    await world.settle()
    acknowledgement = json.loads(read_schema_file("examples/demo/acknowledgement.json"))
    acknowledgement["purpose"] = f"To find the mother of {CANARIES[1]}"
    await world["FI"].submit(acknowledgement, procedure=accepted.procedure)
    await world.settle()
    return accepted


async def erase(country: Country, procedure: ProcedureId) -> Erasure:
    """Two persons erase it, and all that is owed is done."""
    proposed = await country.desk.erase.propose(procedure, ORDER, FIRST)
    done = await country.desk.erase.confirm(proposed.id, SECOND)
    while await country.engine.clear():
        pass
    await country.engine.next_epoch.if_owed()
    return done


async def opens(url: str, ring: EpochRing, procedure: ProcedureId) -> bool:
    """Whether anything of a procedure can be read with this database and these keys."""
    store = open_store(url, us=CountryCode("EE"), cipher=AtRest(lambda: ring))
    try:
        page = await store.read(
            lambda reader: reader.messages(MessageFilter(procedure=procedure), cursor=None, limit=9)
        )
    except CaseKeyMissing:
        return False
    finally:
        await store.close()
    return bool(page.items)


def copied(source: Path, target: Path) -> Path:
    """Copy a database that is in use, as a backup does."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    return target


def with_keys_of(data: Path, keys: Path, target: Path) -> str:
    """Return a database of one copy's data and another copy's key tables."""
    copied(data, target)
    with closing(sqlite3.connect(target)) as db, db:
        db.execute("ATTACH DATABASE ? AS other", (str(keys),))
        for table in KEY_TABLES:
            db.execute(f"DELETE FROM {table}")
            db.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")
        db.commit()
        db.execute("DETACH DATABASE other")
    return f"sqlite:///{target}"


async def test_no_old_copy_of_data_or_keys_gives_an_erased_case_back(tmp_path: Path) -> None:
    """Every data copy is tried with every key copy and the vault of now; another case opens, and so did this one before."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        ee = world["EE"]
        gone, other, stays = [await answered(world) for _ in range(3)]
        live = tmp_path / "EE.db"
        before, ring_before = copied(live, tmp_path / "before.db"), ee.epochs.ring()
        await erase(ee, other.procedure)  # an older copy of the key table than the last, of an epoch of its own
        between, ring_between = copied(live, tmp_path / "between.db"), ee.epochs.ring()
        await erase(ee, gone.procedure)
        after, ring = copied(live, tmp_path / "after.db"), ee.epochs.ring()
        copies = (before, between, after)

        assert await opens(f"sqlite:///{before}", ring_before, gone.procedure)
        assert await opens(f"sqlite:///{between}", ring_between, gone.procedure)
        for number, (data, keys) in enumerate(itertools.product(copies, copies)):
            url = with_keys_of(data, keys, tmp_path / f"mixed{number}.db")
            for erased in (gone, other):
                assert not await opens(url, ring, erased.procedure), (data.name, keys.name)
            assert await opens(url, ring, stays.procedure) is (keys == after)


@pytest.mark.parametrize("encrypted", [True, False])
async def test_no_name_of_an_erased_case_stands_in_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    """Database, journal, and the folder of the adapter; also with encryption switched off, where they all stood before."""
    if not encrypted:
        monkeypatch.setattr("broker.testing.world.AtRest", Clear)
    drop = tmp_path / "drop"
    drop.mkdir()
    async with World.create(tmp_path, ("EE", "FI")) as world:
        ee = world["EE"]
        ee.adapters[BOARD] = create({"folder": str(drop)})
        gone = await answered(world)
        assert found(bytes_of(drop)) == {CANARIES[1]}
        assert bool(found(bytes_of(tmp_path, "EE.db*"))) is not encrypted
        await erase(ee, gone.procedure)
        assert found(bytes_of(drop)) == set()
        with closing(sqlite3.connect(tmp_path / "EE.db")) as db:
            db.execute(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            )  # the journal becomes part of the file, as it does every few MiB
        assert found(bytes_of(tmp_path, "EE.db*")) == set()


@pytest.mark.postgres
async def test_no_name_of_an_erased_case_stands_in_any_row_of_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_store_url: str
) -> None:
    """Looked for in every column of every table, with encryption switched off, where it stood before."""
    monkeypatch.setattr("broker.testing.world.AtRest", Clear)
    async with World.create(tmp_path, ("EE", "FI"), urls={"EE": postgres_store_url}) as world:
        gone = await answered(world)
        assert found(rows_of(postgres_store_url)) != set()
        await erase(world["EE"], gone.procedure)
        assert found(rows_of(postgres_store_url)) == set()


def bytes_of(folder: Path, pattern: str = "*") -> bytes:
    """Return every byte of the files there."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob(pattern)) if path.is_file())


def rows_of(url: str) -> bytes:
    """Return every value of every table."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        rows = [row for table in metadata.tables for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
    engine.dispose()
    return b"\n".join(
        bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode() for row in rows for value in row
    )


class NationalSystem:
    """Remembers what it holds."""

    manifest: Any = None

    def __init__(self) -> None:
        self.held: set[str] = set()

    async def deliver(self, message: Any) -> None:
        self.held.add(message.id)

    async def erased(self, message: Any) -> None:
        self.held.discard(message.id)

    async def run(self, context: Any) -> None: ...

    async def close(self) -> None: ...


async def until_done(world: World, procedure: ProcedureId) -> list[str]:
    """Two persons erase, and repeat what got no answer; the node works on after each crash. Return where it died."""
    died: list[str] = []
    steps = ["propose", "confirm", "clear", "epoch", "clear", "epoch"]
    while steps:
        ee = world["EE"]
        try:
            await take(ee, steps[0], procedure)
        except Crash:
            died.append(ee.fuse.calls[-1])
            await world.restart("EE")
            world.clock.advance(601)  # the dead worker's leases run out
        else:
            steps.pop(0)
    return died


async def take(ee: Country, step: str, procedure: ProcedureId) -> None:
    """Do one thing as often as it takes; what is decided already is an answer."""
    if step == "clear":
        while await ee.engine.clear():
            pass
    elif step == "epoch":
        await ee.engine.next_epoch.if_owed()
    else:
        made = await ee.store.read(lambda reader: reader.retention.erasures(BOARD, limit=1))
        try:
            if step == "propose":
                await ee.desk.erase.propose(procedure, ORDER, FIRST)
            else:
                await ee.desk.erase.confirm(made[0].id, SECOND)
        except AlreadySettled:
            assert made


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_call_leaves_no_erasure_half_done(tmp_path: Path, after: bool) -> None:
    """Decided or not decided, never between; started again the node removes every copy and makes it final."""
    died: list[str] = []
    for number in itertools.count():
        folder = tmp_path / str(number)
        folder.mkdir()
        async with World.create(folder, ("EE", "FI")) as world:
            system = NationalSystem()
            world["EE"].adapters[BOARD] = system
            gone = await answered(world)
            assert len(system.held) == 1
            world["EE"].fuse.set(number, after=after)
            crashes = await until_done(world, gone.procedure)
            ee = world["EE"]
            ee.fuse.remove()
            (erasure,) = await ee.store.read(lambda reader: reader.retention.erasures(BOARD, limit=9))
            assert (erasure.state, erasure.final is not None) == (ErasureState.ERASED, True), crashes
            assert await ee.store.read(lambda reader, one=erasure: reader.retention.duties_of(one.id)) == 0  # type: ignore[misc]
            assert system.held == set()
            (epoch,) = ee.epochs.ring().epochs
            assert epoch > 1
            page = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=99))
            actions = [row.action for row in page.items if row.action.startswith(("eras", "copies"))]
            assert sorted(actions) == ["copies-erased", "erased", "erasure-final", "erasure-proposed"]
        if not crashes:
            break  # there is no such call any more
        died += crashes
    assert {"store.run", "store.read", "adapter.erased"} <= set(died)


ACTS = st.lists(
    st.sampled_from(["propose", "confirm", "hold", "release", "write", "answer", "work", "late"]),
    min_size=4,
    max_size=10,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
async def test_whatever_comes_in_which_order_no_contents_come_back(
    tmp_path_factory: pytest.TempPathFactory, acts: list[str]
) -> None:
    """From the moment that it is erased nothing of the procedure is shown, and under a hold it is not erased."""
    async with World.create(tmp_path_factory.mktemp("world"), ("EE", "FI")) as world:
        ee, fi = world["EE"], world["FI"]
        case = await answered(world)
        held, over = False, False
        for act in [*acts, "work", "propose", "confirm", "late", "work"]:
            erased_now = False
            try:
                match act:
                    case "propose":
                        await ee.desk.erase.propose(case.procedure, ORDER, FIRST)
                    case "confirm":
                        for waiting in await ee.store.read(lambda reader: reader.retention.erasures(BOARD, limit=1)):
                            done = await ee.desk.erase.confirm(waiting.id, SECOND)
                            erased_now = done.state is ErasureState.ERASED
                    case "hold":
                        await ee.desk.keep.hold(case.procedure, HoldReason.COMPLAINT, FIRST)
                        held = True
                    case "release":
                        await ee.desk.keep.release(case.procedure, FIRST)
                        held = False
                    case "write" | "answer" | "late":
                        author = ee if act == "write" else fi
                        kind = "clarification-no-hurry.json"
                        data = json.loads(read_schema_file(f"examples/acts/{kind}"))
                        if author is ee:
                            data["sender"], office = {"authority": BOARD}, "helsinki-wellbeing-services"
                            data["recipient"] = {"country": "FI", "authority": office}
                        await author.submit(data, procedure=case.procedure)
                        if act == "late":
                            await fi.step()  # on its way, and not taken yet
                    case _:
                        await world.settle()
                        await ee.engine.next_epoch.if_owed()
            except SenderError:
                erased_now = False  # refused: what is shown does not change
            if erased_now:
                assert not held
                over = True
            shown = await ee.store.read(
                lambda reader: reader.messages(MessageFilter(procedure=case.procedure), cursor=None, limit=50)
            )
            assert bool(shown.items) is not over
