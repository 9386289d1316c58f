# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated nodes of several countries, whose clocks one hand moves: the real flows over real stores, nothing else real.

```
async with World.create(folder, ("EE", "FI")) as world:
    accepted = await world["EE"].submit("request.json")
    await world.settle()
```
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from broker.adapter_api import Adapter
from broker.catalogue import Catalogue
from broker.core.arrangements import ArrangementRegister
from broker.core.audit import Who
from broker.core.delivery import LadderLimits
from broker.core.ids import AuthorityId, CountryCode, ProcedureId
from broker.core.messages import Delivery, Submission, Uploaded
from broker.core.roles import AuditRole
from broker.core.trust import Member, TrustList
from broker.desk import Desk
from broker.flows.inspect import ProcedureView
from broker.flows.receive import PARKED
from broker.home import generate_keys, member_of
from broker.ports import Store, Transport, TrustLook
from broker.rows import Accepted
from broker.schema_files import load_catalogue, read_schema_file
from broker.security.chunks import is_chunk
from broker.storage import AtRest, migrate, open_store
from broker.testing.at_rest import UnsafeEpochs
from broker.testing.blobs import MemoryBlobs
from broker.testing.clock import HandClock, OwnClock
from broker.testing.compute import InlineCompute
from broker.testing.crashes import Fuse
from broker.testing.federation import OFFICES
from broker.testing.ids import SeededIds
from broker.testing.kept import KeptTally, SilentNotifier
from broker.testing.network import Network
from broker.testing.offices import sealed_anew, with_office_keys
from broker.vault import FileVault, PrivateKey
from broker.wiring import Engine, Keys, Rings, wire_desk, wire_engine

__all__ = ["Country", "World", "officer"]

_ROUNDS = 200  # a simulation that does not settle by then goes round in circles


def officer(authority: str | None = None, actor: str = "officer") -> Who:
    """Return an officer of that office, or of the whole node."""
    return Who(actor=actor, role=AuditRole.OFFICER, authority=None if authority is None else AuthorityId(authority))


class SimulatedTrust:
    """A trust list that the test sets; implements `ports.TrustSource`."""

    def __init__(self, trust: TrustList, clock: HandClock) -> None:
        self._current = trust
        self._clock = clock
        self._looked = clock.now()
        self.newest = trust

    def current(self) -> TrustList:
        """Return the list in force."""
        return self._current

    def looked(self) -> datetime:
        """Return when the newest list was last taken."""
        return self._looked

    async def refresh(self, *, asked: bool = False) -> TrustLook:
        """Take the newest list."""
        self._current, self._looked = self.newest, self._clock.now()
        return TrustLook()


@dataclass(slots=True)
class Country:
    """One simulated node."""

    us: CountryCode
    url: str
    network: Network
    keys: tuple[PrivateKey, ...]
    trust: SimulatedTrust
    clock: OwnClock
    ids: SeededIds
    desk: Desk
    engine: Engine
    store: Store
    epochs: UnsafeEpochs
    transport: Transport
    fuse: Fuse
    tally: KeptTally
    blobs: MemoryBlobs
    adapters: dict[AuthorityId, Adapter] = field(default_factory=dict)
    notifier: SilentNotifier = field(default_factory=SilentNotifier)
    outcomes: list[str] = field(default_factory=list)  # what became of each delivery

    def submission(self, example: str | Mapping[str, Any], **changes: Any) -> Submission:
        """Return an example of `schemas/examples/demo` or a JSON object as a submission of this country."""
        data = json.loads(read_schema_file(f"examples/demo/{example}")) if isinstance(example, str) else dict(example)
        key = changes.pop("idempotency_key", self.ids.nonce())
        made = self.desk.catalogue.parse_submission(data, actor="test", route="test", idempotency_key=key)
        return replace(made, **changes)

    def sealed(self, example: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """Return an example whose sealed parts are sealed for real, as its office does before its node sees them."""
        data = {**example, **changes}
        made = sealed_anew(
            data, country=self.us, trust=self.trust.current(), catalogue=self.desk.catalogue, now=self.clock.now()
        )
        return dict(made.data)

    async def upload(
        self, plain: bytes = b"synthetic", name: str = "note.txt", *, office: AuthorityId | None = None
    ) -> Uploaded:
        """Upload a file for an office, or the one that asks in `schemas/examples/demo`; return what a message takes it by."""
        office = office or self.submission("request.json").sender_authority

        async def parts() -> AsyncIterator[bytes]:
            yield plain

        begun = await self.desk.upload.begin(len(plain), authority=office, actor="test", role=AuditRole.OFFICER)
        await self.desk.upload.append(begun.id, authority=office, offset=0, parts=parts())
        return Uploaded(upload=begun.id, name=name, kind="REPORT")

    async def submit(self, example: str | Mapping[str, Any], **changes: Any) -> Accepted:
        """Submit an example; `changes` replace fields of the submission."""
        return await self.desk.submit(self.submission(example, **changes))

    async def step(self) -> int:
        """Do everything once that waits here; return how much that was."""
        done = await self.engine.heal() + await self.engine.dispatch() + await self.engine.dispatch.apart()
        done += await self.engine.carry() + await self.engine.carry.apart()
        waiting = list(self.network.waiting[self.us])
        for delivery in waiting:
            take = self.engine.take_chunk if is_chunk(delivery.raw) else self.engine.receive
            self.outcomes.append(await take(delivery))
            await self.transport.done(delivery)
        done += await self.engine.take_chunk.adopt() + await self.engine.complete()
        return done + len(waiting) + await self.engine.deliver() + await self.engine.deliver.apart()

    async def offer_parked(self) -> None:
        """Offer again what was not yet believable."""
        now = self.clock.now()
        for held in await self.store.run(lambda tx: tx.due_parked(now=now, limit=100)):
            self.outcomes.append(
                await self.engine.receive(Delivery(raw=held.raw, queue=PARKED, user=held.user, arrived=held.received))
            )

    async def states(self, *accepted: Accepted) -> list[str]:
        """Return where messages of this country stand on the evidence ladder."""
        rows = await self.store.run(lambda tx: [tx.outbox(item.message) for item in accepted])
        return [str(row.state) for row in rows if row is not None]

    async def view(self, procedure: ProcedureId) -> ProcedureView:
        """Return a procedure as this country's officers see it."""
        return await self.desk.inspect.procedure(procedure, authority=None)

    async def attention(self) -> list[str]:
        """Return the codes of the open attention entries."""
        page = await self.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=100))
        return sorted(str(entry.code) for entry in page.items)

    async def counts(self) -> Mapping[str, int]:
        """Return the store's gauges."""
        return await self.store.read(lambda reader: reader.counts())


class World:
    """Several simulated countries on one network and one clock."""

    def __init__(self, network: Network, clock: HandClock, countries: Mapping[CountryCode, Country]) -> None:
        self.network = network
        self.clock = clock
        self.countries = countries

    def __getitem__(self, country: str) -> Country:
        return self.countries[CountryCode(country)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for country in self.countries.values():
            await country.store.close()

    @classmethod
    def create(
        cls,
        folder: Path,
        names: Sequence[str] = ("EE", "FI", "SE"),
        *,
        urls: Mapping[str, str] | None = None,
        seed: str = "",
    ) -> World:
        """Make the countries.

        Args:
            folder: for the stores, which are SQLite files there.
            names: of the countries.
            urls: migrated stores of countries that have one elsewhere.
            seed: of identifiers that no other world has given; needed where a store is the copy of another world's.
        """
        clock, network = HandClock(), Network()
        keys = {CountryCode(name): _keys(name) for name in names}
        trust = TrustList(version=1, members={name: _member(name, own, clock.now()) for name, own in keys.items()})
        countries = {}
        for name, own in keys.items():
            url = (urls or {}).get(name) or _sqlite(folder / f"{name}.db")
            own_clock = OwnClock(clock)
            countries[name] = _country(
                name,
                url,
                own,
                network=network,
                clock=own_clock,
                trust=SimulatedTrust(trust, own_clock),
                ids=SeededIds(f"{name}{seed}", own_clock),
            )
        return cls(network, clock, countries)

    async def settle(self) -> None:
        """Let every country work until nothing moves any more.

        Raises:
            RuntimeError: it never settles.
        """
        for _ in range(_ROUNDS):
            if not sum([await country.step() for country in self.countries.values()]):
                return
        raise RuntimeError("the simulation does not settle")

    def set_trust(self, change: Callable[[Member], Member]) -> None:
        """Let every country's next refresh find a list in which every member is changed so."""
        current = next(iter(self.countries.values())).trust.newest
        members = {name: change(member) for name, member in current.members.items()}
        self._announce(replace(current, version=current.version + 1, members=members))

    def set_arrangements(self, register: ArrangementRegister | None) -> None:
        """Let every country's next refresh find a list with this register of arrangements."""
        current = next(iter(self.countries.values())).trust.newest
        self._announce(replace(current, version=current.version + 1, arrangements=register))

    def _announce(self, newest: TrustList) -> None:
        for country in self.countries.values():
            country.trust.newest = newest

    async def restart(
        self,
        name: str,
        *more_keys: PrivateKey,
        meanwhile: Callable[[], None] | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        """End a country's node and start it again on the same store, with further private keys if given.

        Args:
            name: the country.
            more_keys: that its vault has from now on.
            meanwhile: done while no node runs.
            catalogue: that it knows from now on; without one the same as before.
        """
        old = self[name]
        await old.store.close()
        if meanwhile is not None:
            meanwhile()
        fresh = _country(
            old.us, old.url, (*old.keys, *more_keys),
            network=self.network, clock=old.clock, trust=old.trust, ids=old.ids, epochs=old.epochs,
            adapters=old.adapters,
            blobs=old.blobs,
            catalogue=catalogue or old.desk.catalogue,
        )  # fmt: skip
        old.keys, old.desk, old.engine, old.store = fresh.keys, fresh.desk, fresh.engine, fresh.store
        old.transport, old.fuse, old.tally = fresh.transport, fresh.fuse, fresh.tally

    def colleague(self, name: str) -> Country:
        """Return one more worker of a country over the same store; the caller closes its store."""
        first = self[name]
        return _country(
            first.us, first.url, first.keys,
            network=self.network, clock=first.clock, trust=first.trust,
            ids=SeededIds(f"{name} colleague", first.clock), epochs=first.epochs, adapters=first.adapters,
            blobs=first.blobs,
        )  # fmt: skip


def _country(
    us: CountryCode,
    url: str,
    keys: tuple[PrivateKey, ...],
    *,
    network: Network,
    clock: OwnClock,
    trust: SimulatedTrust,
    ids: SeededIds,
    epochs: UnsafeEpochs | None = None,
    adapters: dict[AuthorityId, Adapter] | None = None,
    blobs: MemoryBlobs | None = None,
    catalogue: Catalogue | None = None,
) -> Country:
    fuse, epochs = Fuse(), epochs or UnsafeEpochs(us)
    store = fuse.store(open_store(url, us=us, cipher=AtRest(epochs.ring)))
    transport = fuse.transport(network.endpoint(us))
    serving: dict[AuthorityId, Adapter] = {} if adapters is None else adapters
    notifier, tally = SilentNotifier(), KeptTally()
    blobs = blobs or MemoryBlobs(clock)
    desk = wire_desk(
        us, store=store, blobs=fuse.blobs(blobs), compute=InlineCompute(), catalogue=catalogue or _catalogue(),
        trust=trust, clock=clock, ids=ids, wake=_nothing,
    )  # fmt: skip
    engine = wire_engine(
        desk,
        transport=transport,
        keys=Keys(vault=fuse.vault(FileVault(us, keys)), epochs=epochs, compute=InlineCompute()),
        adapter_for=lambda office: fuse.adapter(serving.get(office)),
        notifier=notifier,
        limits=LadderLimits(),
        envelope_life=timedelta(days=30),
        rings=Rings(work=_nothing, offer=_nothing, trust=_nothing, parked=_nothing, whole=_nothing),
        tally=tally,
    )
    return Country(
        us=us, url=url, network=network, keys=keys, trust=trust, clock=clock, ids=ids,
        desk=desk, engine=engine, store=store, epochs=epochs, transport=transport, fuse=fuse, tally=tally,
        blobs=blobs,
        adapters=serving, notifier=notifier,
    )  # fmt: skip


def _sqlite(path: Path) -> str:
    path.write_bytes(_empty_database())
    return f"sqlite:///{path}"


@functools.cache
def _empty_database() -> bytes:
    """The bytes of a migrated database without rows: making the tables anew would take longer than most simulations."""
    with tempfile.TemporaryDirectory(prefix="trm-world-") as folder:
        file = Path(folder) / "empty.db"
        migrate(f"sqlite:///{file}")
        return file.read_bytes()


@functools.cache
def _keys(name: str) -> tuple[PrivateKey, ...]:
    """A country's keys, the same in every world of this process."""
    return generate_keys()


@functools.cache
def _member(name: CountryCode, own: tuple[PrivateKey, ...], now: datetime) -> Member:
    """A country as the trust list of that moment names it, with the keys of its offices."""
    began = now - timedelta(hours=1)
    messages, procedures = _catalogue().speaks()
    made = member_of(name, own, now=began, authorities=OFFICES[name], messages=messages, procedures=procedures)
    return with_office_keys(made, start=began)


@functools.cache
def _catalogue() -> Catalogue:
    """One catalogue for all simulated countries of this process: it never changes, and compiling it takes most of a run."""
    return load_catalogue()


def _nothing() -> None:
    """A simulation is driven by hand; nobody needs waking."""
