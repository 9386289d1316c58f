# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One country's running node: everything is wired here, every task has its owner here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from prometheus_client import CollectorRegistry

from broker.api.app import create_app
from broker.api.remote_issuer import IssuerSettings, RemoteIssuer
from broker.api.services import ApiLimits, ApiServices
from broker.api.serving import ApiRunner, listen
from broker.api.tokens import TokenVerifier
from broker.core.attention import AttentionCode
from broker.core.delivery import LadderLimits, StepLimit
from broker.core.errors import BrokerError, Internal
from broker.flows.announce import Announce
from broker.logs import Event, Log
from broker.metrics import Metrics
from broker.notify import LogNotifier
from broker.office import Office, local_issuer, open_office
from broker.ports import Transport
from broker.running.adapters import Adapters, place_adapters
from broker.running.loops import Bells, Loop
from broker.running.receiving import Receiving
from broker.running.vitals import Vitals, room_on_disk
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.storage.presence import Presence, announce_presence
from broker.vault import FileVault
from broker.wiring import Engine, Keys, Rings, wire_engine

__all__ = ["TOKEN_KEY_FILE", "Node", "Office", "build", "local_issuer", "open_office"]

LOOPS = {  # name → seconds between two looks when nobody rings
    "dispatch": 1.0,
    "dispatch-apart": 1.0,
    "deliver": 1.0,
    "deliver-apart": 1.0,
    "parked": 5.0,
    "trust": 60.0,  # what another worker took; the source is asked every quarter of an hour
    "watch": 30.0,
    "remind": 60.0,
    "urge": 60.0,
    "epochs": 60.0,  # how long copies of an erased case's key may still open
    "search": 600.0,  # what was stored before there was one; after a batch it goes on at once
    "audit": 1.0,
    "heal": 5.0,
    "vitals": 15.0,
    "announce": 2.0,
    "carry": 1.0,
    "carry-apart": 1.0,
    "complete": 2.0,
    "tidy": 3600.0,
    "review": 60.0,
    "clear": 5.0,
}
STOP_SECONDS = 10.0  # for the items in hand

Check = Callable[[], Awaitable[str | None]]


class Node:
    """A node that can serve; built by `build`."""

    def __init__(
        self,
        office: Office,
        vault: FileVault,
        transport: Transport,
        bells: Bells,
        *,
        warnings: Mapping[AttentionCode, Callable[[], str | None]] | None = None,
        presence: Presence | None = None,
    ) -> None:
        """Args:
        office, vault, transport, bells: what it works with.
        warnings: what health does not fail for, but needs a person soon.
        presence: the sign that it runs, taken away at its end.
        """
        self.office = office
        self.settings = office.settings
        self.transport = transport
        self.metrics = Metrics(CollectorRegistry(), types=frozenset(office.catalogue.types()))
        self._vault = vault
        self._compute = office.compute
        self._stopping = asyncio.Event()
        self._bells = bells
        self.warnings = warnings or {}
        self._presence = presence
        self._adapters = Adapters(place_adapters(self.settings), desk=office, metrics=self.metrics)
        self._notifier = LogNotifier(Log("notify"), self.metrics)
        engine = self._build_engine()
        self._receiving = self._build_receiving(engine)
        self._loops = self._build_loops(engine)
        self._log = Log("node")

    @property
    def checks(self) -> Mapping[str, Check]:
        """What health asks: None when in order, else one sentence for an operator."""
        return {
            "transport": self.transport.health,
            "store": self._store_health,
            "loops": self._loops_health,
            "vault": self._vault_health,
            "disk": self._disk_health,
        }

    async def serve(self, ready: Callable[[str], None]) -> None:
        """Run until cancelled; then finish the items in hand.

        Args:
            ready: called once with the API's address when the node works.

        Raises:
            NodeError: it cannot start, or a part of it died.
        """
        work = asyncio.create_task(self._work(ready), name="node work")
        try:
            await asyncio.shield(work)
        except ExceptionGroup as group:
            raise _ending(group) from group
        except asyncio.CancelledError:
            self._log.info(Event.NODE_STOPPING)
            self._stop()
            _, late = await asyncio.wait({work}, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            raise
        finally:
            if work.done() and not work.cancelled() and (error := work.exception()) is not None:
                self._log.error(Event.NODE_FAILED, error)
            await self._close()

    async def _work(self, ready: Callable[[str], None]) -> None:
        runner = ApiRunner(create_app(self._api_services()))
        try:
            address = await listen(runner, self.settings.api_host, self.settings.api_port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receiving.run(), name="receiving")
                adapters = tasks.create_task(self._adapters.run(), name="adapters")
                for loop in self._loops:
                    tasks.create_task(loop.run(), name=loop.name)
                self._log.info(Event.NODE_READY, country=self.settings.country)
                ready(address)
                await self._stopping.wait()
                adapters.cancel()
                await runner.cleanup()
                await self.transport.close()
        finally:
            await runner.cleanup()

    def _stop(self) -> None:
        self._stopping.set()
        self._bells.ring()

    async def _close(self) -> None:
        await self.transport.close()
        await self._adapters.close()
        await self.office.close()
        if self._presence is not None:
            self._presence.close()
        self._log.info(Event.NODE_STOPPED)

    def _build_engine(self) -> Engine:
        return wire_engine(
            self.office,
            transport=self.transport,
            keys=Keys(vault=self._vault, epochs=self._vault, compute=self._compute),
            adapter_for=self._adapters.serving,
            notifier=self._notifier,
            limits=_limits(self.settings),
            envelope_life=timedelta(days=self.settings.envelope_days),
            rings=Rings(
                work=lambda: self._bells.ring("dispatch", "dispatch-apart"),
                offer=lambda: self._bells.ring("deliver", "deliver-apart"),
                trust=lambda: self._bells.ring("trust"),
                parked=lambda: self._bells.ring("parked"),
                whole=lambda: self._bells.ring("complete"),
            ),
            tally=self.metrics,
        )

    def _build_receiving(self, engine: Engine) -> Receiving:
        return Receiving(
            transport=self.transport,
            receive=engine.receive,
            take_chunk=engine.take_chunk,
            trust=self.office.trust,
            store=self.office.store,
            ledger=self.office.ledger,
            metrics=self.metrics,
            clock=self.office.clock,
            concurrency=self.settings.concurrency,
        )

    def _build_loops(self, engine: Engine) -> tuple[Loop, ...]:
        office = self.office
        work: dict[str, Callable[[], Awaitable[int | bool]]] = {
            "dispatch": engine.dispatch,
            "dispatch-apart": engine.dispatch.apart,
            "deliver": engine.deliver,
            "deliver-apart": engine.deliver.apart,
            "parked": self._receiving.offer_parked,
            "trust": engine.refresh_trust,
            "watch": engine.watch,
            "remind": engine.remind,
            "urge": engine.urge,
            "epochs": engine.next_epoch.if_owed,
            "search": engine.catch_up,
            "audit": engine.link_audit,
            "heal": engine.heal,
            "vitals": Vitals(
                store=office.store,
                ledger=office.ledger,
                clock=office.clock,
                checks=lambda: self.checks,
                warnings=self.warnings,
            ),
            "announce": Announce(store=office.store, notifier=self._notifier),
            "carry": engine.carry,
            "carry-apart": engine.carry.apart,
            "complete": self._complete(engine),
            "tidy": engine.tidy,
            "review": engine.review,
            "clear": engine.clear,
        }
        return tuple(
            Loop(name, work[name], bell=self._bells[name], poll_seconds=seconds, stopping=self._stopping)
            for name, seconds in LOOPS.items()
        )

    def _complete(self, engine: Engine) -> Callable[[], Awaitable[int]]:
        async def work() -> int:
            return await engine.take_chunk.adopt() + await engine.complete()

        return work

    def _api_services(self) -> ApiServices:
        return ApiServices(
            desk=self.office,
            tokens=_token_verifier(self.office),
            metrics=self.metrics,
            health=self.checks,
            limits=ApiLimits(body_bytes=self.settings.max_request_bytes),
        )

    async def _store_health(self) -> str | None:
        await self.office.store.read(lambda reader: reader.healing.unfinished())  # counting takes longer every year
        return self.office.full()

    async def _vault_health(self) -> str | None:
        return await self._compute.run(self._vault.look)

    async def _disk_health(self) -> str | None:
        return room_on_disk(self.settings.home)

    async def _loops_health(self) -> str | None:
        for loop in self._loops:
            if loop.trouble is not None:
                return f"The {loop.name} loop fails: {loop.trouble.detail}"
        return None


def _ending(group: ExceptionGroup) -> BrokerError:
    """Return the one error that says why a node ended: our own where there is one, for it has a sentence."""
    leaves: list[Exception] = []
    waiting: list[Exception] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, ExceptionGroup):
            waiting.extend(error.exceptions)
        else:
            leaves.append(error)
    ours = [error for error in leaves if isinstance(error, BrokerError)]
    return ours[0] if ours else Internal(f"A part of the node ended by {type(leaves[0]).__name__}; it is in the log.")


def build(settings: Settings, vault: FileVault) -> Node:
    """Open everything else that the settings name and wire it; inside a running event loop.

    Raises:
        NodeError: with what is wrong, where, and who must act.
    """
    bells = Bells(LOOPS)
    office = open_office(settings, vault, wake=lambda: bells.ring("dispatch", "dispatch-apart"))
    transport, warnings = _transport(office)
    catalogue = {AttentionCode.CATALOGUE: lambda: _newer_catalogue(office)}
    presence = announce_presence(settings.store_url)
    return Node(office, vault, transport, bells, warnings={**warnings, **catalogue}, presence=presence)


def _transport(office: Office) -> tuple[Transport, Mapping[AttentionCode, Callable[[], str | None]]]:
    settings = office.settings
    if settings.transport == "rabbitmq":
        from broker.transport.rabbit import RabbitOptions, RabbitTransport
        from broker.transport.rabbit_tls import tls_of

        address = settings.amqp_address()
        tls = tls_of(address, settings.amqp_tls_folder, settings.country, office.clock.now)
        options = RabbitOptions(url=address, us=settings.country, tls=tls)
        warnings = {} if tls is None else {AttentionCode.BROKER_CERTIFICATE: tls.warning}
        return RabbitTransport(options, office.clock, office.ids.jitter), warnings
    from broker.transport.spool import SpoolTransport

    if settings.spool_folder is None:
        raise RuntimeError("the settings were checked")
    return SpoolTransport(settings.spool_folder, settings.country, office.clock), {}


def _newer_catalogue(office: Office) -> str | None:
    """A running node keeps the catalogue that it began with: API, metrics and open checks are all built on one."""
    if office.trust.current().catalogue == office.signed_catalogue:
        return None
    return "The trust list names another message catalogue than the node began with: restart the node to use it."


def _token_verifier(office: Office) -> TokenVerifier:
    settings = office.settings
    if settings.token_issuer is not None and settings.token_jwks_url is not None:
        remote = IssuerSettings(
            jwks_url=settings.token_jwks_url, issuer=settings.token_issuer, audience=settings.token_audience
        )
        return RemoteIssuer(remote, clock=office.clock)
    return local_issuer(settings)


def _limits(settings: Settings) -> LadderLimits:
    ladder = settings.ladder

    def step(warn: float, fail: float) -> StepLimit:
        return StepLimit(warn=timedelta(hours=warn), fail=timedelta(hours=fail))

    return LadderLimits(
        published=step(ladder.delivered_warn_hours, ladder.delivered_fail_hours),
        delivered=step(ladder.handed_over_warn_hours, ladder.handed_over_fail_hours),
        handed_over=step(ladder.opened_warn_hours, ladder.opened_fail_hours),
    )
