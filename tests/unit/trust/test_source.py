# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the trust list of a running node: one worker looks, all work by what is kept."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import Member, MemberStatus
from broker.ports import Store, TrustLook
from broker.storage import keep_trust, kept_trust, migrate, open_store
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.clock import HandClock
from broker.testing.ids import SeededIds
from broker.testing.trust import TrustOffice
from broker.trust.client import Fetched, TrustClient
from broker.trust.fetching import FolderSource
from broker.trust.list_documents import read_list, trust_list_of
from broker.trust.source import LOOK_SECONDS, StoredTrust, row_of

EE = CountryCode("EE")


class Looked:
    """A client that counts how often it is asked."""

    def __init__(self, office: TrustOffice) -> None:
        self.times = 0
        self._office = office

    def __call__(self) -> TrustClient:
        self.times += 1
        return TrustClient(FolderSource(self._office.folder), self._office.root)


@pytest.fixture
def office(tmp_path: Path, ee: Member) -> TrustOffice:
    """A federation with one member; its lifetimes begin today, for TUF looks at the clock itself."""
    today = datetime.now(UTC)
    made = TrustOffice.create(tmp_path / "trust", now=today)
    made.add(ee, now=today)
    made.publish(now=today)
    return made


@pytest.fixture
def clock() -> HandClock:
    """A clock moved by hand."""
    return HandClock()


@pytest.fixture
async def store(tmp_path: Path, office: TrustOffice, clock: HandClock) -> AsyncIterator[Store]:
    """A store in which the first list is kept."""
    url = f"sqlite:///{tmp_path / 'trm.db'}"
    migrate(url)
    fetched = Looked(office)().fetch()
    keep_trust(url, row_of(fetched, clock), fetched.memory)
    opened = open_store(url, us=EE, cipher=unsafe_at_rest())
    yield opened
    await opened.close()


@pytest.fixture
def looked(office: TrustOffice) -> Looked:
    """How often anybody asked."""
    return Looked(office)


def worker(name: str, store: Store, looked: Looked, clock: HandClock, tmp_path: Path) -> StoredTrust:
    """Return one worker's view, as it would start now."""
    row = kept_trust(f"sqlite:///{tmp_path / 'trm.db'}")
    assert row is not None
    in_force = trust_list_of(read_list(row.raw))
    return StoredTrust(row, in_force, store=store, client=looked, clock=clock, ids=SeededIds(name, clock))


async def test_a_newer_list_comes_into_force_and_is_kept(
    office: TrustOffice, store: Store, looked: Looked, clock: HandClock, tmp_path: Path
) -> None:
    """What the officers published stands in the database before anybody works by it; the older one stays there."""
    trust = worker("one", store, looked, clock, tmp_path)
    before = trust.current()
    clock.advance(1)
    office.repository.suspend(EE, "A drill.", now=datetime.now(UTC))
    office.publish(now=datetime.now(UTC))
    look = await trust.refresh(asked=False)
    assert look == TrustLook()
    assert trust.current().members[EE].status is MemberStatus.SUSPENDED
    assert (before.version, trust.current().version) == (1, 2)
    first = await store.read(lambda reader: reader.trust_list_at(1, clock.now()))
    assert first is not None
    assert await store.read(lambda reader: reader.trust_list_at(2, clock.now() - timedelta(seconds=1))) is None


async def test_one_worker_looks_and_the_others_take_what_is_kept(
    office: TrustOffice, store: Store, looked: Looked, clock: HandClock, tmp_path: Path
) -> None:
    """Two workers ask the source once, and both work by the newer list."""
    one, two = (worker(name, store, looked, clock, tmp_path) for name in ("one", "two"))
    office.repository.suspend(EE, "A drill.", now=datetime.now(UTC))
    office.publish(now=datetime.now(UTC))
    clock.advance(5)
    assert await one.refresh(asked=False) == TrustLook()
    assert await two.refresh(asked=False) is None
    assert looked.times == 1
    assert one.current() == two.current()
    assert one.looked() == two.looked() == clock.now()


async def test_a_look_that_gives_the_same_list_is_known_to_every_worker(
    store: Store, looked: Looked, clock: HandClock, tmp_path: Path
) -> None:
    """What a message is held against is as fresh as the last look, whoever made it."""
    one, two = (worker(name, store, looked, clock, tmp_path) for name in ("one", "two"))
    first = two.looked()
    clock.advance(5)
    await one.refresh(asked=False)
    assert two.looked() == first
    known = two.current()
    await two.refresh(asked=False)
    assert two.current() is known
    assert two.looked() == clock.now()


async def test_the_source_is_asked_every_quarter_of_an_hour(
    store: Store, looked: Looked, clock: HandClock, tmp_path: Path
) -> None:
    """Between two regular looks nobody asks, give or take a tenth."""
    trust = worker("one", store, looked, clock, tmp_path)
    await trust.refresh(asked=False)
    clock.advance(int(LOOK_SECONDS * 0.9) - 1)
    assert await trust.refresh(asked=False) is None
    clock.advance(int(LOOK_SECONDS * 0.2) + 2)
    assert await trust.refresh(asked=False) == TrustLook()
    assert looked.times == 2


async def test_an_unknown_key_does_not_wait_for_the_regular_look(
    store: Store, looked: Looked, clock: HandClock, tmp_path: Path
) -> None:
    """Asked, a worker looks at once, and at most once a minute whoever asks."""
    one, two = (worker(name, store, looked, clock, tmp_path) for name in ("one", "two"))
    await one.refresh(asked=False)
    assert await one.refresh(asked=True) == TrustLook()
    assert await two.refresh(asked=True) is None
    clock.advance(60)
    assert await two.refresh(asked=True) == TrustLook()
    assert looked.times == 3


async def test_a_bad_list_leaves_the_kept_one_in_force(
    office: TrustOffice, store: Store, looked: Looked, clock: HandClock, tmp_path: Path
) -> None:
    """The broken rule is named, nothing is kept, and the worker goes on by what it had."""
    trust = worker("one", store, looked, clock, tmp_path)
    before = trust.current()
    (office.folder / "metadata" / "timestamp.json").write_bytes(b"{}")
    with pytest.raises(TrustListInvalid) as caught:
        await trust.refresh(asked=False)
    assert caught.value.rule == "malformed"
    assert trust.current() is before
    kept = await store.run(lambda tx: tx.trust_list())
    assert kept is not None
    assert kept.version == 1


async def test_an_older_list_is_never_taken(
    office: TrustOffice, store: Store, looked: Looked, clock: HandClock, tmp_path: Path
) -> None:
    """A worker that starts later knows from the database what was seen before."""
    old = tmp_path / "old"
    shutil.copytree(office.folder, old)
    office.publish(now=datetime.now(UTC))
    await worker("one", store, looked, clock, tmp_path).refresh(asked=False)
    shutil.rmtree(office.folder)
    shutil.copytree(old, office.folder)
    late = worker("two", store, looked, clock, tmp_path)
    with pytest.raises(TrustListInvalid) as caught:
        await late.refresh(asked=True)
    assert caught.value.rule == "version"
    assert late.current().version == 2


async def test_a_slow_look_does_not_undo_a_newer_one(
    office: TrustOffice, store: Store, looked: Looked, clock: HandClock, tmp_path: Path
) -> None:
    """What a worker fetched before another one kept a newer list is not kept after it."""
    old = shutil.copytree(office.folder, tmp_path / "old")
    url = f"sqlite:///{tmp_path / 'trm.db'}"

    class Overtaken(TrustClient):
        """Reads the older list while another worker keeps the newer one."""

        def fetch(self, *given: Any) -> Fetched:
            """Let the other worker be faster."""
            fetched = super().fetch(*given)
            newer = looked().fetch()
            keep_trust(url, row_of(newer, clock), newer.memory)
            return fetched

    first = looked().fetch()
    slow = StoredTrust(
        row_of(first, clock),
        first.trust,
        store=store,
        client=lambda: Overtaken(FolderSource(old), office.root),
        clock=clock,
        ids=SeededIds("slow", clock),
    )
    office.repository.suspend(EE, "A drill.", now=datetime.now(UTC))
    office.publish(now=datetime.now(UTC))
    await slow.refresh(asked=False)
    row = kept_trust(url)
    assert row is not None
    assert row.version == 2
    assert slow.current().members[EE].status is MemberStatus.SUSPENDED
