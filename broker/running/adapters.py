# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the adapters of a node, each under its own supervisor: a failing one is told about and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.adapter_api import (
    Adapter,
    AdapterContext,
    AdapterEvent,
    AdapterFactory,
    ErasedMessage,
    InboundMessage,
    Manifest,
    UploadState,
    discover,
)
from broker.core.attention import AttentionCode
from broker.core.errors import AdapterFailed, BrokerError, Forbidden, SettingsInvalid
from broker.core.ids import AuthorityId
from broker.core.roles import AuditRole
from broker.desk import Desk
from broker.flows.upload import Upload
from broker.logs import Event, Log
from broker.metrics import Metrics
from broker.ports import Transaction
from broker.rows import Accepted, UploadRow
from broker.settings import Settings

__all__ = ["AdapterPlace", "Adapters", "place_adapters"]

RESTART_SECONDS = 5.0
RESTART_MAX_SECONDS = 300.0
WELL_SECONDS = 60.0  # after which an adapter that was started again counts as mended

_EVENTS = {
    AdapterEvent.SUBMITTED: Event.MESSAGE_SUBMITTED,
    AdapterEvent.REFUSED: Event.MESSAGE_REFUSED,
    AdapterEvent.DELAYED: Event.ADAPTER_DELAYED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterPlace:
    """An adapter and the offices it serves."""

    name: str
    adapter: Adapter
    authorities: tuple[AuthorityId, ...]


def place_adapters(settings: Settings) -> tuple[AdapterPlace, ...]:
    """Create the adapters that the settings name; one that cannot be loaded fails at its offices alone, not the node.

    Raises:
        SettingsInvalid: there is no adapter of that name, or its options are wrong.
    """
    known = discover()
    places = []
    for name, chosen in settings.adapters.items():
        factory = known.get(chosen.use or name)
        if factory is None:
            raise SettingsInvalid("There is no adapter of that name.", where=f"{settings.file}: adapters.{name}")
        options = {key: _anchored(settings, key, value) for key, value in chosen.options.items()}
        places.append(AdapterPlace(name=name, adapter=_made(factory, options), authorities=chosen.authorities))
    return tuple(places)


def _made(factory: AdapterFactory, options: Mapping[str, Any]) -> Adapter:
    try:
        return factory(options)
    except AdapterFailed as error:
        return _Unloaded(lambda: factory(options), error)


class _Unloaded:
    """An adapter that could not be loaded: what is owed to its offices stays owed, and each start of it tries again."""

    def __init__(self, load: Callable[[], Adapter], fault: AdapterFailed) -> None:
        self._load = load
        self._fault = fault
        self._adapter: Adapter | None = None

    @property
    def manifest(self) -> Manifest:
        return self._loaded().manifest

    async def deliver(self, message: InboundMessage) -> None:
        await self._loaded().deliver(message)

    async def erased(self, message: ErasedMessage) -> None:
        await self._loaded().erased(message)

    async def run(self, context: AdapterContext) -> None:
        if self._adapter is None:
            self._adapter = self._load()
        await self._adapter.run(context)

    async def close(self) -> None:
        if self._adapter is not None:
            await self._adapter.close()

    def _loaded(self) -> Adapter:
        if self._adapter is None:
            raise AdapterFailed(self._fault.detail, where=self._fault.where)
        return self._adapter


def _anchored(settings: Settings, key: str, value: Any) -> Any:
    """Paths in an adapter's table start at the home folder, as everywhere in the settings."""
    return str(settings.home / value) if key in {"folder", "path"} and isinstance(value, str) else value


class Adapters:
    """The adapters of one node while it runs."""

    def __init__(self, places: tuple[AdapterPlace, ...], *, desk: Desk, metrics: Metrics) -> None:
        self._places = places
        self._desk = desk
        self._metrics = metrics
        self._clock = desk.clock
        self._log = Log("adapters")
        self._by_authority = {office: place.adapter for place in places for office in place.authorities}

    def serving(self, authority: AuthorityId) -> Adapter | None:
        """Return the adapter of that office; None: its officers use the API and `trm`."""
        return self._by_authority.get(authority)

    async def run(self) -> None:
        """Run every adapter's outgoing side until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for place in self._places:
                tasks.create_task(self._supervise(place), name=f"adapter {place.name}")

    async def close(self) -> None:
        """Let every adapter release what it holds; a failing one does not keep the others from it."""
        for place in self._places:
            try:
                await place.adapter.close()
            except Exception as error:  # foreign code
                self._log.error(Event.ADAPTER_FAILED, error, adapter=place.name)

    async def _supervise(self, place: AdapterPlace) -> None:
        pause = RESTART_SECONDS
        while True:
            started = self._clock.monotonic()
            self._log.info(Event.ADAPTER_STARTED, adapter=place.name)
            error = await self._run(place)
            self._log.error(Event.ADAPTER_FAILED, error, adapter=place.name)
            await self._tell(place, error)
            if self._clock.monotonic() - started >= RESTART_MAX_SECONDS:
                pause = RESTART_SECONDS
            await self._clock.sleep(pause)
            pause = min(pause * 2, RESTART_MAX_SECONDS)

    async def _run(self, place: AdapterPlace) -> Exception:
        """Run the adapter until it ends, and return why it did."""
        mending = asyncio.create_task(self._mended(place), name=f"adapter {place.name} well")
        try:
            await place.adapter.run(self._context(place))
        except Exception as failure:  # foreign code must not stop the node (promise P7: a person is told)
            return failure
        finally:
            mending.cancel()
            await asyncio.wait({mending})  # or it could close the entry that is opened next
        return AdapterFailed("The adapter ended by itself.")

    async def _mended(self, place: AdapterPlace) -> None:
        """Close the call for a person once the adapter has run for a while."""
        await self._clock.sleep(WELL_SECONDS)
        await self._note(
            lambda tx: tx.resolve_attention(AttentionCode.ADAPTER_STOPPED, place.name, at=self._clock.now(), by="node")
        )

    async def _tell(self, place: AdapterPlace, error: Exception) -> None:
        detail = error.detail if isinstance(error, AdapterFailed) else f"The adapter raised {type(error).__name__}."
        await self._note(
            lambda tx: self._desk.ledger.call(
                tx, AttentionCode.ADAPTER_STOPPED, place.name, now=self._clock.now(), detail=detail
            )
        )

    async def _note(self, fn: Callable[[Transaction], object]) -> None:
        try:
            await self._desk.store.run(fn)
        except BrokerError as trouble:
            self._log.error(Event.STORE_FAILED, trouble)

    def _context(self, place: AdapterPlace) -> AdapterContext:
        return AdapterContext(
            us=self._desk.us,
            authorities=place.authorities,
            submit=self._submit_for(place),
            uploads=_Uploads(self._desk.upload, place),
            clock=self._clock,
            log=self._logger(place),
        )

    def _submit_for(self, place: AdapterPlace) -> Callable[[Mapping[str, Any], str], Awaitable[Accepted]]:
        async def submit(data: Mapping[str, Any], idempotency_key: str) -> Accepted:
            submission = self._desk.catalogue.parse_submission(
                data,
                actor=f"adapter:{place.name}",
                role=AuditRole.ADAPTER,
                route=place.name,
                idempotency_key=idempotency_key,
            )
            if submission.sender_authority not in place.authorities:
                raise Forbidden("This adapter does not serve that office.", where="/sender/authority")
            accepted = await self._desk.submit(submission)
            if not accepted.repeated:
                self._metrics.submitted(submission.recipient.country, submission.type)
            return accepted

        return submit

    def _logger(self, place: AdapterPlace) -> Callable[..., None]:
        def log(event: AdapterEvent, /, **fields: object) -> None:
            self._log.info(_EVENTS[event], adapter=place.name, **fields)

        return log


class _Uploads:
    """Implements the adapter's `Uploads` for the offices of its place."""

    def __init__(self, upload: Upload, place: AdapterPlace) -> None:
        self._upload = upload
        self._place = place

    async def begin(self, size: int, *, authority: str) -> UploadState:
        actor = f"adapter:{self._place.name}"
        return _state(
            await self._upload.begin(size, authority=self._served(authority), actor=actor, role=AuditRole.ADAPTER)
        )

    async def find(self, upload: str, *, authority: str) -> UploadState:
        return _state(await self._upload.find(upload, authority=self._served(authority)))

    async def append(self, upload: str, *, authority: str, offset: int, parts: AsyncIterator[bytes]) -> UploadState:
        office = self._served(authority)
        return _state(await self._upload.append(upload, authority=office, offset=offset, parts=parts))

    def _served(self, authority: str) -> AuthorityId:
        for office in self._place.authorities:
            if office == authority:
                return office
        raise Forbidden("This adapter does not serve that office.", where="/sender/authority")


def _state(row: UploadRow) -> UploadState:
    return UploadState(upload=row.id, received=row.received, whole=row.digest is not None)
