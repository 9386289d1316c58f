# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Running adapters, each under its own supervisor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from broker.adapter_api import Adapter, AdapterContext, AdapterEvent, NotFound, UploadState
from broker.core.errors import AdapterFailed, Forbidden, SettingsInvalid
from broker.core.ids import AuthorityId, CountryCode
from broker.home import create_home
from broker.metrics import Metrics
from broker.running.adapters import AdapterPlace, Adapters, place_adapters
from broker.schema_files import read_schema_file
from broker.settings import Settings
from broker.testing.world import World
from broker.vault import UNSAFE_DEV_KDF

BOARD, MINISTRY = AuthorityId("social-insurance-board"), AuthorityId("ministry-of-justice")
CANARY = "Test-Maarika"
BOUND_SECONDS = 20  # reached only when something hangs


class Scripted:
    """An adapter whose outgoing side does what a test says, once per start; then it waits for ever."""

    manifest: Any = None

    def __init__(self, *script: Callable[[AdapterContext], Awaitable[None]]) -> None:
        self.script = list(script)
        self.contexts: list[AdapterContext] = []
        self.closed = False

    async def deliver(self, message: Any) -> None: ...

    async def erased(self, message: Any) -> None: ...

    async def run(self, context: AdapterContext) -> None:
        self.contexts.append(context)
        if self.script:
            await self.script.pop(0)(context)
        else:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


def _raises(error: Exception) -> Callable[[AdapterContext], Awaitable[None]]:
    async def run(context: AdapterContext) -> None:
        raise error

    return run


async def _ends(context: AdapterContext) -> None:
    """Return although an outgoing side never ends."""


def _adapters(world: World, *adapters: Adapter, metrics: Metrics | None = None) -> Adapters:
    names = ("one", "other")
    offices = (BOARD, MINISTRY)
    places = tuple(
        AdapterPlace(name=name, adapter=adapter, authorities=(office,))
        for name, adapter, office in zip(names, adapters, offices, strict=False)
    )
    return Adapters(places, desk=world["EE"].desk, metrics=metrics or Metrics(CollectorRegistry()))


@asynccontextmanager
async def _running(adapters: Adapters) -> AsyncIterator[None]:
    task = asyncio.create_task(adapters.run())
    try:
        async with asyncio.timeout(BOUND_SECONDS):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _told(world: World, *wanted: str) -> list[tuple[str, str]]:
    """Wait until these codes are open, and return subjects and sentences."""
    while await world["EE"].attention() != list(wanted):  # noqa: ASYNC110 - the store is written in a thread
        await asyncio.sleep(0)
    page = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    return [(entry.subject, entry.detail) for entry in page.items]


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (_raises(ValueError(f"no column for {CANARY}")), "The adapter raised ValueError."),
        (_raises(AdapterFailed("The drop folder is missing.")), "The drop folder is missing."),
        (_ends, "The adapter ended by itself."),
    ],
    ids=["foreign exception", "its own sentence", "an end"],
)
async def test_a_stopped_adapter_is_told_of_and_started_again(
    world: World, caplog: pytest.LogCaptureFixture, end: Any, sentence: str
) -> None:
    """Who looks at the list reads why; foreign texts are not shown; after a pause the adapter runs again."""
    adapter = Scripted(end)
    async with _running(_adapters(world, adapter)):
        assert await _told(world, "adapter-stopped") == [("one", sentence)]
        assert len(adapter.contexts) == 1
        await world.clock.until_sleeping()
        await world.clock.pass_by(5)
        assert len(adapter.contexts) == 2
    assert CANARY not in " ".join(str(record.msg) for record in caplog.records)


async def test_an_adapter_that_runs_well_again_closes_the_call(world: World) -> None:
    """After a minute without a fault the entry is resolved by the node; before that it stays."""
    adapter = Scripted(_ends)
    async with _running(_adapters(world, adapter)):
        await _told(world, "adapter-stopped")
        await world.clock.until_sleeping()
        await world.clock.pass_by(5)
        await world.clock.until_sleeping()
        await world.clock.pass_by(59)
        assert await world["EE"].attention() == ["adapter-stopped"]
        await world.clock.pass_by(1)
        await _told(world)
    closed = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=False, cursor=None, limit=9))
    assert [entry.resolved_by for entry in closed.items] == ["node"]


async def test_pauses_grow_while_an_adapter_keeps_failing(world: World) -> None:
    """It is started again after 5, 10, 20 … seconds, at most five minutes apart, and told of once."""
    adapter = Scripted(*[_ends] * 9)
    pauses, before = [], world.clock.monotonic()
    async with _running(_adapters(world, adapter)):
        for number in range(1, 9):
            while len(adapter.contexts) <= number:
                await world.clock.until_sleeping()
                await world.clock.pass_by(5)
            pauses.append(world.clock.monotonic() - before)
            before = world.clock.monotonic()
        assert await world["EE"].attention() == ["adapter-stopped"]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]


async def test_one_adapters_fault_does_not_touch_another(world: World) -> None:
    """The other one runs on in its first start, serves its office, and both are closed, whatever one of them raises."""

    class Stubborn(Scripted):
        async def close(self) -> None:
            raise OSError(CANARY)

    faulty, steady = Stubborn(_ends, _ends), Scripted()
    adapters = _adapters(world, faulty, steady)
    async with _running(adapters):
        await _told(world, "adapter-stopped")
        assert len(steady.contexts) == 1
        assert adapters.serving(MINISTRY) is steady
        assert adapters.serving(AuthorityId("somebody-else")) is None
    await adapters.close()
    assert steady.closed


async def test_an_adapter_submits_for_its_own_offices_only(world: World) -> None:
    """Its messages carry its name in the audit trail; for another office it is refused; a repetition counts once."""
    metrics = Metrics(CollectorRegistry())
    adapter = Scripted()
    data = json.loads(read_schema_file("examples/demo/request.json"))
    async with _running(_adapters(world, adapter, metrics=metrics)):
        while not adapter.contexts:  # noqa: ASYNC110 - it starts with the task
            await asyncio.sleep(0)
        (context,) = adapter.contexts
        first = await context.submit(data, "key-1")
        again = await context.submit(data, "key-1")
        with pytest.raises(Forbidden):
            await context.submit({**data, "sender": {"authority": MINISTRY}}, "key-2")
    assert (first.repeated, again.repeated, again.message) == (False, True, first.message)
    trail = await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=9))
    assert [(row.actor, row.action) for row in trail.items] == [("adapter:one", "submitted")]
    counted = metrics.exposition({}).decode()
    assert 'trm_submitted_total{peer="FI",type="other"} 1.0' in counted


async def test_what_an_adapter_logs_has_its_event(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A delay is a delay in the log, not a failure, and fields that are not of the closed list are dropped."""
    caplog.set_level("INFO", logger="trm.adapters")
    adapter = Scripted()
    async with _running(_adapters(world, adapter)):
        while not adapter.contexts:  # noqa: ASYNC110 - it starts with the task
            await asyncio.sleep(0)
        adapter.contexts[0].log(AdapterEvent.DELAYED, code="disk-full", attempts=2, child=CANARY)
    (line,) = [str(record.msg) for record in caplog.records if "delayed" in str(record.msg)]
    assert "adapter.delayed" in line
    assert "disk-full" in line
    assert CANARY not in line


def _settings(home: Path, adapters: dict[str, Any]) -> Settings:
    spool = home.parent / "spool"
    spool.mkdir()
    stated = {"transport": "spool", "spool_folder": str(spool), "adapters": adapters}
    create_home(
        home, CountryCode("EE"), passphrase=b"p", now=datetime(2026, 11, 22, tzinfo=UTC), authorities=(), messages={},
        settings=stated, kdf=UNSAFE_DEV_KDF,
    )  # fmt: skip
    return Settings.load(home)


def test_adapters_are_placed_by_the_settings(tmp_path: Path) -> None:
    """An adapter is found by its name or by what it uses, and its folder starts at the home."""
    settings = _settings(
        tmp_path / "EE",
        {"drop": {"use": "filedrop", "authorities": [BOARD], "folder": "exchange/drop"}},
    )
    (place,) = place_adapters(settings)
    assert (place.name, place.authorities) == ("drop", (BOARD,))
    assert place.adapter._folders._root == tmp_path / "EE" / "exchange" / "drop"  # type: ignore[attr-defined]


def test_an_adapter_that_is_not_installed_is_named(tmp_path: Path) -> None:
    """The operator reads which table of which file is wrong."""
    settings = _settings(tmp_path / "EE", {"telex": {"authorities": [BOARD]}})
    with pytest.raises(SettingsInvalid) as caught:
        place_adapters(settings)
    assert caught.value.where == f"{tmp_path / 'EE' / 'settings.toml'}: adapters.telex"


async def test_an_adapter_that_cannot_be_loaded_stops_nobody_else(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its offices' messages stay owed, a person is told, each start tries anew, and the others never notice."""
    steady, late = Scripted(), Scripted()
    tries = [AdapterFailed("The adapter cannot be loaded (ImportError).", where="adapters.late")] * 2

    def load(options: Any) -> Any:
        if tries:
            raise tries.pop()
        return late

    monkeypatch.setattr("broker.running.adapters.discover", lambda: {"late": load, "steady": lambda _: steady})
    stated = {"late": {"authorities": [BOARD]}, "steady": {"authorities": [MINISTRY]}}
    places = place_adapters(_settings(tmp_path / "EE", stated))
    adapters = Adapters(places, desk=world["EE"].desk, metrics=Metrics(CollectorRegistry()))
    serving: Any = adapters.serving(BOARD)
    for work in (serving.deliver, serving.erased):
        with pytest.raises(AdapterFailed, match="cannot be loaded"):
            await work(None)
    async with _running(adapters):
        assert await _told(world, "adapter-stopped") == [("late", "The adapter cannot be loaded (ImportError).")]
        assert (len(steady.contexts), len(late.contexts)) == (1, 0)
        await world.clock.until_sleeping()
        await world.clock.pass_by(5)
        assert len(late.contexts) == 1
        await serving.deliver(None)
    await adapters.close()
    assert late.closed


async def test_an_adapter_uploads_for_the_offices_that_it_serves(world: World) -> None:
    """By the same way as the API: on from where a file is, looked at when it is whole, on record under the adapter's name."""
    seen: list[UploadState] = []
    raw, done = b"%PDF-1.7 a test\n%%EOF\n", asyncio.Event()

    async def upload(context: AdapterContext) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield raw

        begun = await context.uploads.begin(len(raw), authority=BOARD)
        seen.append(await context.uploads.append(begun.upload, authority=BOARD, offset=0, parts=parts()))
        seen.append(await context.uploads.find(begun.upload, authority=BOARD))
        with pytest.raises(Forbidden):
            await context.uploads.begin(len(raw), authority=MINISTRY)
        with pytest.raises(NotFound):
            await context.uploads.find("0" * 32, authority=BOARD)
        done.set()
        await asyncio.Event().wait()

    async with _running(_adapters(world, Scripted(upload))):
        await done.wait()
    assert [(one.received, one.whole) for one in seen] == [(len(raw), True)] * 2
    page = await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=5))
    assert [(row.action, row.actor, row.authority) for row in page.items] == [("uploaded", "adapter:one", BOARD)]
