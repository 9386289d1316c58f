# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One supervised connection to RabbitMQ: opened, watched, thrown away when in doubt, opened again after a pause.

A plain connection and our own loop instead of aio-pika's "robust" one: nothing is repaired in place, so nothing can be
half repaired, and every wait is bounded. Nothing is declared on the broker; nodes may not.

A renewed certificate is tried on a second connection beside the first: only when the broker has taken it does the new
one take over, and the old one ends what it has in flight. A certificate that the broker refuses changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import aio_pika
import aiormq.exceptions
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from yarl import URL

from broker.core.errors import BrokerError, SettingsInvalid
from broker.core.ids import CountryCode
from broker.ports import Clock
from broker.transport.rabbit_reaching import Reaching
from broker.transport.rabbit_reading import read_whatever_comes
from broker.transport.rabbit_tls import ClientTls, tls_sentence

__all__ = ["RabbitLink", "RabbitOptions", "Session", "cancelled"]

_CLOSE_SECONDS = 5.0
_LOST = "The connection to the message broker was lost."
_CANCELS = 3  # the library's cleanup waits after a first cancellation

_NO_RIGHT = (  # to look at a queue: https://github.com/rabbitmq/rabbitmq-server/pull/16272
    "This node's user may not use its queues: import the definitions file. RabbitMQ 4.2.6 and 4.3.0 refuse it in any case."
)
_NO_HOST = "The message broker does not let this node's user onto the virtual host that the address names."
_SENTENCES: tuple[tuple[type[BaseException], str], ...] = (
    (aiormq.exceptions.ProbableAuthenticationError, "The message broker refuses this node's user, password or certificate."),
    (aiormq.exceptions.AuthenticationError, "The message broker does not offer this node's way to log in."),
    (aiormq.exceptions.ConnectionNotAllowed, _NO_HOST),
    (aiormq.exceptions.InvalidFrameError, _NO_HOST),  # what the library makes of a refusal at the very opening
    (aiormq.exceptions.ChannelNotFoundEntity, "A queue or exchange of this node is missing: import the definitions file."),
    (aiormq.exceptions.ChannelAccessRefused, _NO_RIGHT),
    (TimeoutError, "The message broker does not answer in time."),
    (ConnectionResetError, "The message broker hung up; over TLS: it may refuse this node's certificate."),
    (BrokenPipeError, "The message broker hung up; over TLS: it may refuse this node's certificate."),
    (OSError, "The message broker cannot be reached."),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitOptions:
    """Where the message broker is, who we are there, and how long anything may take."""

    url: str = field(repr=False)  # amqp://user:password@host:port/vhost; amqps without password logs in by certificate
    us: CountryCode
    tls: ClientTls | None = field(default=None, repr=False)  # required with amqps
    # A broker counts deliveries, not bytes: 48 of the largest envelopes are 96 MiB, whoever floods us. Twice as many as are
    # worked on at a time keep the workers busy; the dead queue brings what came back, never the bulk.
    prefetch: int = 32  # unsettled deliveries of the input queue
    chunk_prefetch: int = 6  # unsettled chunks of attachments, each a MiB
    dead_prefetch: int = 16  # unsettled deliveries of the dead queue
    publish_timeout_seconds: float = 10.0
    chunk_timeout_seconds: float = 90.0  # a few MiB at a time, over a line of half a megabit
    connect_timeout_seconds: float = 10.0
    heartbeat_seconds: int = 20
    retry_seconds: float = 1.0  # first pause before connecting again; doubled each time
    retry_max_seconds: float = 30.0
    watchdog_seconds: float = 60.0
    renew_seconds: float = 900.0  # without any delivery: consume anew, whatever the broker says about us
    again_seconds: float = 1.0  # first pause before an undecided delivery goes back; doubled each time
    again_max_seconds: float = 60.0
    look_seconds: float = 15.0  # between two looks whether a new connection should take over


class Session(Protocol):
    """What lives on one connection."""

    lost: asyncio.Event  # set when the connection is gone or not to be trusted any more
    doubted: bool  # a new connection should take over, although the session still serves

    async def trouble(self) -> str | None:
        """Return one sentence where the broker does not let us work although the connection stands."""
        ...

    async def watch(self) -> None:
        """Set `lost` when the broker does not serve us although the connection stands; runs until cancelled."""
        ...

    async def finish(self) -> None:
        """Wait until nothing is in flight; another session has taken over."""
        ...


S = TypeVar("S", bound=Session)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened(Generic[S]):
    """A connection with its session, and the state of the certificate's files that it was made from."""

    connection: AbstractConnection
    channel: object  # aio-pika holds it weakly only
    session: S
    stamp: object


class RabbitLink(Generic[S]):
    """Keeps one session open."""

    def __init__(
        self,
        options: RabbitOptions,
        clock: Clock,
        jitter: Callable[[], float],
        *,
        name: str,
        open_session: Callable[[AbstractChannel, asyncio.Event], Awaitable[S]],
        confirms: bool,
    ) -> None:
        self._options = options
        self._clock = clock
        self._jitter = jitter
        self._name = name
        self._open_session = open_session
        self._confirms = confirms
        self._url = _address(options)
        self._session: S | None = None
        self._successor: _Opened[S] | None = None
        self._ready = asyncio.Event()
        self._tried = asyncio.Event()  # the first attempt has an outcome
        self._trouble: str | None = None
        self._failures = 0  # attempts since a connection was last served
        self._task: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to connect, once."""
        if self._task is None:
            self._task = asyncio.create_task(self._supervise(), name=self._name)

    async def session(self) -> S:
        """Wait for an open session."""
        while True:
            await self._ready.wait()
            if self._session is not None and not self._session.lost.is_set():
                return self._session
            await asyncio.sleep(0)  # given up; the loop is about to take it away

    async def trouble(self) -> str | None:
        """Return None when connected and served, else one sentence; waits for the first attempt's outcome only."""
        await self._tried.wait()
        return self._trouble if self._session is None else await self._session.trouble()

    async def close(self) -> None:
        """End the connection and the loop."""
        if self._task is not None:
            await _stop(self._task)
        while self._endings:
            await asyncio.gather(*map(_stop, tuple(self._endings)))
        if self._successor is not None:  # opened by a renewal that had not noticed yet
            await self._end(self._successor.connection)

    async def _supervise(self) -> None:
        while True:
            try:
                await self._live()
                self._failures = 0
            except Exception as error:  # whatever the library surprises with must not end consuming for good
                if cancelled():
                    raise asyncio.CancelledError from None
                self._failures += 1
                self._trouble = _sentence(error)
            except asyncio.CancelledError:
                # aiormq also ends waits on a dying connection with this error; only a cancelled task stops.
                if cancelled():
                    raise
                self._failures += 1
                self._trouble = _LOST
            self._tried.set()
            await self._clock.sleep(self._pause(self._failures))

    async def _live(self) -> None:
        opened: _Opened[S] | None = await self._open()
        try:
            while opened is not None:
                await self._serve(opened)
                opened, self._successor = self._successor, None
        finally:
            if self._successor is not None:
                await self._end(self._successor.connection)
                self._successor = None

    async def _open(self) -> _Opened[S]:
        tls = self._options.tls
        stamp = None if tls is None else tls.stamp()
        context = None if tls is None else tls.context()
        read_whatever_comes()
        # Not `aio_pika.connect`: what failed to connect must be closed too, or its finalizer closes it from any thread.
        connection = aio_pika.Connection(self._url, ssl_context=context)
        connection.kwargs["transport_factory"] = Reaching(context, turn=self._failures)
        try:
            async with asyncio.timeout(self._options.connect_timeout_seconds):
                await connection.connect()
            async with asyncio.timeout(self._options.connect_timeout_seconds):
                channel = await connection.channel(publisher_confirms=self._confirms, on_return_raises=self._confirms)
                session = await self._begin(await channel.get_underlay_channel())
        except BaseException:
            await self._end(connection)
            raise
        return _Opened(connection=connection, channel=channel, session=session, stamp=stamp)

    async def _begin(self, wire: AbstractChannel) -> S:
        # Below aio-pika's own publish and consume: its messages always carry a priority and a header table.
        lost = asyncio.Event()
        wire.closing.add_done_callback(lambda _: lost.set())
        return await self._open_session(wire, lost)

    async def _serve(self, opened: _Opened[S]) -> None:
        """Serve until the session is lost, or until a successor can take over."""
        session = opened.session
        watch = asyncio.create_task(session.watch(), name=f"{self._name}-watchdog")
        watch.add_done_callback(lambda _: session.lost.set())  # a watchdog that ends has seen enough
        renewal = asyncio.create_task(self._renew(opened), name=f"{self._name}-renewal")
        lost = asyncio.create_task(session.lost.wait(), name=f"{self._name}-lost")
        self._session = session
        self._ready.set()
        self._tried.set()
        try:
            await asyncio.wait({lost, renewal}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            self._keep(renewal)
            try:
                await _stop(renewal)
            finally:  # also when cancelled in that wait: a connection that nobody ends stays open for good
                if self._successor is None:
                    self._session, self._trouble = None, _LOST  # now: ending it can take seconds
                    self._ready.clear()
                    session.lost.set()
                    self._dismiss(watch)
                    await self._end(opened.connection)
                else:
                    self._keep(asyncio.create_task(self._retire(opened, watch), name=f"{self._name}-retire"))

    async def _renew(self, opened: _Opened[S]) -> None:
        """Open the successor that the broker takes, once the session is doubted or the certificate has changed."""
        tls = self._options.tls
        while self._successor is None:
            await self._clock.sleep(self._options.look_seconds)
            changed = tls is not None and tls.stamp() != opened.stamp
            if not changed and not opened.session.doubted:
                continue
            trouble: str | None = None
            try:
                self._successor = await self._open()
            except Exception as error:
                if cancelled():
                    raise asyncio.CancelledError from None
                trouble = _sentence(error)
            except asyncio.CancelledError:  # see `_supervise`
                if cancelled():
                    raise
                continue
            if tls is not None and (changed or trouble is None):
                tls.tell(self._name, trouble)

    async def _retire(self, opened: _Opened[S], watch: asyncio.Task[None]) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.chunk_timeout_seconds):  # the longest that a publish takes
                    await opened.session.finish()
        finally:
            opened.session.lost.set()
            self._dismiss(watch)
            await self._end(opened.connection)

    def _dismiss(self, watch: asyncio.Task[None]) -> None:
        watch.cancel()  # not waited for: the library may want to write to the dying connection first
        self._keep(watch)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._endings.add(task)
        task.add_done_callback(self._forget)

    async def _end(self, connection: AbstractConnection) -> None:
        # A task of its own: the library's close can wait without bound, and cancelling it once is not enough.
        ending = asyncio.create_task(_close(connection), name=f"{self._name}-end")
        self._keep(ending)
        await asyncio.wait([ending], timeout=_CLOSE_SECONDS)
        ending.cancel()

    def _forget(self, ending: asyncio.Task[None]) -> None:
        self._endings.discard(ending)
        if not ending.cancelled():
            ending.exception()  # seen: nobody waits for it

    def _pause(self, failures: int) -> float:
        longest = min(self._options.retry_max_seconds, self._options.retry_seconds * 2.0 ** min(failures, 16))
        return longest * (0.5 + self._jitter() / 2)


def _address(options: RabbitOptions) -> URL:
    """Build the address from its parts: a query of the settings could switch certificate checks off.

    Raises:
        SettingsInvalid: it is no AMQP address, or amqps comes without a TLS context.
    """
    try:
        url = URL(options.url)
    except ValueError:
        raise SettingsInvalid("The message broker's address is not a URL.", where="broker.url") from None
    if url.scheme not in {"amqp", "amqps"} or not url.host:
        raise SettingsInvalid("The message broker's address must begin with amqp:// or amqps://.", where="broker.url")
    if (url.scheme == "amqps") != (options.tls is not None):
        raise SettingsInvalid("amqps needs certificate files, and amqp takes none.", where="broker.url")
    query = {"heartbeat": str(options.heartbeat_seconds)}
    if url.scheme == "amqps" and url.password is None:
        query["auth"] = "EXTERNAL"
    return url.with_query(query)


def _sentence(error: BaseException) -> str:
    cause = error.__cause__ or error
    if isinstance(error, BrokerError):
        return error.detail
    if isinstance(cause, ssl.SSLError):
        return tls_sentence(cause)
    for kind, sentence in _SENTENCES:
        if isinstance(cause, kind) or isinstance(error, kind):
            return sentence
    return "The message broker cannot be used."


def cancelled() -> bool:
    """Whether somebody cancels the current task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _close(connection: AbstractConnection) -> None:
    await connection.close()


async def _stop(task: asyncio.Task[Any]) -> None:
    for _ in range(_CANCELS):
        task.cancel()
        if task in (await asyncio.wait([task], timeout=_CLOSE_SECONDS))[0]:
            return
