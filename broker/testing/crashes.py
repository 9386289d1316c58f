# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A process that dies at a chosen call of a port: before the call takes effect, or right after it has.

A `Fuse` stands between one simulated node and its store, transport, vault and adapters, and numbers every call. The call
that it is set to raises `Crash`; from then on every call does, because a dead process does nothing any more. What the
call had done by then is done: a commit stands, an envelope is on its way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from broker.adapter_api import Adapter, ErasedMessage, InboundMessage
from broker.core.messages import Delivery, Sealed
from broker.core.trust import TrustList
from broker.ports import Blobs, Reader, Store, Transaction, Transport, Vault
from broker.security.suite import Opener, Signer

__all__ = ["Crash", "Fuse"]

T = TypeVar("T")


class Crash(BaseException):
    """The process ended here; nothing in the product may catch this."""


class Fuse:
    """Counts one node's port calls and blows at the one that it is set to."""

    def __init__(self) -> None:
        self.calls: list[str] = []  # name of every call so far
        self.blown = False
        self._at: int | None = None
        self._after = False

    def set(self, number: int, *, after: bool) -> None:
        """Blow at that call, counted from now on, the next one being 0.

        Args:
            number: of the call.
            after: whether the call still takes effect.
        """
        self._at, self._after = len(self.calls) + number, after

    def remove(self) -> None:
        """Let every later call pass."""
        self._at = None

    def store(self, inner: Store) -> Store:
        """Return the store behind this fuse."""
        return _Store(inner, self)

    def blobs(self, inner: Blobs) -> Blobs:
        """Return the blobs behind this fuse."""
        return _Blobs(inner, self)

    def transport(self, inner: Transport) -> Transport:
        """Return the transport behind this fuse."""
        return _Transport(inner, self)

    def vault(self, inner: Vault) -> Vault:
        """Return the vault behind this fuse."""
        return _Vault(inner, self)

    def adapter(self, inner: Adapter | None) -> Adapter | None:
        """Return the adapter behind this fuse."""
        return None if inner is None else _Adapter(inner, self)

    async def guard(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, or die before or after it."""
        dies = self._next(name)
        if dies and not self._after:
            self._blow()
        result = await call()
        if dies or self.blown:
            self._blow()
        return result

    def guard_now(self, name: str, call: Callable[[], T]) -> T:
        """Make a call that does not wait, or die before or after it."""
        dies = self._next(name)
        if dies and not self._after:
            self._blow()
        result = call()
        if dies:
            self._blow()
        return result

    def _next(self, name: str) -> bool:
        if self.blown:
            raise Crash
        self.calls.append(name)
        return len(self.calls) - 1 == self._at

    def _blow(self) -> None:
        self.blown = True
        raise Crash


class _Store:
    def __init__(self, inner: Store, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    async def run(self, fn: Callable[[Transaction], T], *, ahead: bool = False) -> T:
        return await self._fuse.guard("store.run", lambda: self._inner.run(fn, ahead=ahead))

    async def read(self, fn: Callable[[Reader], T]) -> T:
        return await self._fuse.guard("store.read", lambda: self._inner.read(fn))

    async def close(self) -> None:
        await self._inner.close()  # whatever happened: the operating system closes a dead process's files


class _Blobs:
    def __init__(self, inner: Blobs, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    async def put(self, blob: str, index: int, raw: bytes) -> None:
        await self._fuse.guard("blobs.put", lambda: self._inner.put(blob, index, raw))

    async def get(self, blob: str, index: int) -> bytes:
        return await self._fuse.guard("blobs.get", lambda: self._inner.get(blob, index))

    async def drop(self, blob: str) -> None:
        await self._fuse.guard("blobs.drop", lambda: self._inner.drop(blob))

    async def left_since(self, before: float, *, after: str, limit: int) -> tuple[str, ...]:
        return await self._inner.left_since(before, after=after, limit=limit)


class _Transport:
    def __init__(self, inner: Transport, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    async def publish(self, sealed: Sealed, *, apart: bool = False) -> None:
        await self._fuse.guard("transport.publish", lambda: self._inner.publish(sealed, apart=apart))

    def deliveries(self) -> AsyncIterator[Delivery]:
        return self._inner.deliveries()

    async def done(self, delivery: Delivery) -> None:
        await self._fuse.guard("transport.done", lambda: self._inner.done(delivery))

    async def again(self, delivery: Delivery) -> None:
        await self._fuse.guard("transport.again", lambda: self._inner.again(delivery))

    async def health(self) -> str | None:
        return await self._inner.health()

    async def close(self) -> None:
        await self._inner.close()


class _Vault:
    def __init__(self, inner: Vault, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def signer(self, trust: TrustList, now: datetime) -> Signer:
        return self._fuse.guard_now("vault.signer", lambda: self._inner.signer(trust, now))

    def opener(self) -> Opener:
        return self._fuse.guard_now("vault.opener", self._inner.opener)


class _Adapter:
    def __init__(self, inner: Adapter, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    @property
    def manifest(self) -> Any:
        return self._inner.manifest

    async def deliver(self, message: InboundMessage) -> None:
        await self._fuse.guard("adapter.deliver", lambda: self._inner.deliver(message))

    async def erased(self, message: ErasedMessage) -> None:
        await self._fuse.guard("adapter.erased", lambda: self._inner.erased(message))

    async def run(self, context: Any) -> None:
        await self._inner.run(context)

    async def close(self) -> None:
        await self._inner.close()
