# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the demonstration stands on: three homes in one folder, and the transport that joins them."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from broker.core.errors import HomeInvalid, NodeError
from broker.core.ids import CountryCode
from broker.schema_files import load_catalogue
from broker.system import SystemClock
from broker.testing.federation import make_federation
from broker.transport.spool import create

if TYPE_CHECKING:
    from broker.testing.rabbitmq import RabbitServer

__all__ = ["COUNTRIES", "Stage", "set_stage"]

COUNTRIES = ("EE", "FI", "SE")
Log = Callable[[str], None]
Transport = Literal["rabbitmq", "spool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where everything is."""

    folder: Path
    transport: Transport
    homes: Mapping[str, Path]
    amqp_urls: Mapping[str, str]  # by country; empty without a message broker
    spool: Path


@contextmanager
def set_stage(
    wanted: str, folder: Path | None, *, filedrop: Mapping[str, tuple[str, ...]], log: Log
) -> Iterator[Stage]:
    """Make the homes, and a RabbitMQ that ends with the block where one is wanted and can be had.

    Args:
        wanted: ``rabbitmq``, ``spool``, or ``auto``: RabbitMQ, and the spool where none can be had.
        folder: an empty or new folder; None makes one.
        filedrop: by country, the offices that the file-drop adapter serves.
        log: told in one line what happens.

    Raises:
        HomeInvalid: the folder is not empty or cannot be made.
        NodeError: RabbitMQ is wanted and cannot be had.
    """
    place = _folder(folder)
    if wanted == "spool":
        yield _make(place, "spool", {}, filedrop)
        return
    vhost = f"trm-demo-{secrets.token_hex(4)}"
    try:
        server = _start(vhost, log)
    except NodeError as error:
        if wanted != "auto":
            raise
        log(f"No RabbitMQ can be had: the nodes exchange messages through a folder instead. ({error.detail})")
        yield _make(place, "spool", {}, filedrop)
        return
    try:
        yield _make(place, "rabbitmq", {name: server.url(name, vhost=vhost) for name in COUNTRIES}, filedrop)
    finally:
        with suppress(NodeError):  # a server that is ours ends anyway
            server.delete_vhost(vhost)
        server.close()


def _start(vhost: str, log: Log) -> RabbitServer:
    """Return a RabbitMQ with the three countries on a virtual host of its own; the caller closes it."""
    from broker.testing.rabbitmq import broker_start

    server = broker_start(log)
    try:
        server.join(*map(CountryCode, COUNTRIES), vhost=vhost)
    except BaseException:
        server.close()
        raise
    return server


def _folder(folder: Path | None) -> Path:
    try:
        if folder is None:
            return Path(tempfile.mkdtemp(prefix="trm-demo-"))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise HomeInvalid("The folder for the demonstration must be empty.", where=str(folder))
    except OSError as error:
        raise HomeInvalid(f"The folder cannot be made ({type(error).__name__}).", where=str(folder)) from None
    return folder.absolute()


def _make(
    folder: Path, transport: Transport, urls: Mapping[str, str], filedrop: Mapping[str, tuple[str, ...]]
) -> Stage:
    messages, procedures = load_catalogue(None).speaks()
    federation = make_federation(
        folder,
        COUNTRIES,
        messages=messages,
        procedures=procedures,
        now=SystemClock().now(),
        transport=transport,
        settings={country: {"amqp_url": url} for country, url in urls.items()},
        filedrop=filedrop,
    )
    if transport == "spool":
        create(federation.spool_folder, map(CountryCode, COUNTRIES))
    return Stage(
        folder=folder,
        transport=transport,
        homes={str(country): home for country, home in federation.homes.items()},
        amqp_urls=urls,
        spool=federation.spool_folder,
    )
