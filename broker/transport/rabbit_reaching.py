# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""To which of the machines behind the message broker's name a connection is opened.

A cluster's machine that lost its power or its line refuses nobody: whoever waits for its answer spends the whole attempt on
it, and the next one too, while the others would serve. So each but the last is waited for a little while only. One that
hangs takes the connection and then says nothing: so each attempt begins one machine further than the one that failed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

__all__ = ["Reaching"]

_EACH_SECONDS = 3.0  # for a line and a TLS handshake; three machines are tried within one attempt of ten seconds
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Reaching(TransportFactory):
    """Opens the streams of one attempt."""

    def __init__(self, context: ssl.SSLContext | None, *, turn: int) -> None:
        """Args:
        context: for an address that begins with amqps.
        turn: how many attempts failed before.
        """
        self._context = context
        self._turn = turn

    async def create(self, url: URL, **_: Any) -> Streams:
        """Return streams to the first machine that answers; the library calls this.

        Raises:
            AMQPConnectionError: none did; its cause is the last one's.
        """
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
            places = [(str(place[0]), int(place[1])) for *_, place in found]
            first = self._turn % len(places)
            *others, last = places[first:] + places[:first]
            for place in others:
                try:
                    async with asyncio.timeout(_EACH_SECONDS):
                        return await self._opened(place, url.host)
                except OSError:  # as a timeout is
                    continue
            return await self._opened(last, url.host)
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error

    async def _opened(self, place: tuple[str, int], name: str | None) -> Streams:
        secured: dict[str, Any] = {} if self._context is None else {"ssl": self._context, "server_hostname": name}
        return await asyncio.open_connection(*place, **secured)
