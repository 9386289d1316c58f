# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A RabbitMQ for tests, demonstration and measurement: found, started, installed or refused, and said in one line.

In this order: the server that ``TRM_TEST_AMQP_URL`` (or the caller's setting) names; a private instance of the installed
program; the same after installing the Debian package, when root; a container, when Docker answers. A RabbitMQ that
happens to run on this machine is never touched unless it is named. What was started here is ended here.

`RabbitServer.join` puts countries on a virtual host with the product's own definitions; `url` gives a country's address.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from broker.core.errors import NodeError
from broker.core.ids import CountryCode
from broker.testing.packages import container_runs
from broker.testing.rabbitmq_install import RabbitContainer, install_package
from broker.testing.rabbitmq_private import PrivateRabbit, RabbitStartFailed, installed_program
from broker.transport.topology import MAX_MESSAGE_BYTES, VHOST, QueueLimits, definitions

__all__ = ["RabbitMissing", "RabbitServer", "RabbitStartFailed", "broker_start", "rabbitmq", "rabbitmq_program"]

Log = Callable[[str], None]

_PATIENCE_SECONDS = 30.0
_AGAIN_SECONDS = 0.2  # between two questions: a server tells nobody when it is ready


class RabbitMissing(NodeError):
    """No RabbitMQ is here: install rabbitmq-server or Docker, or name a server in TRM_TEST_AMQP_URL."""

    code = "rabbitmq-missing"


class RabbitServer:
    """A running RabbitMQ with an administrator's access; ends what it started when closed."""

    def __init__(self, *, url: str, admin_url: str, own: PrivateRabbit | RabbitContainer | None = None) -> None:
        """Args:
        url: administrator's AMQP address.
        admin_url: management API's address with the administrator's name and password.
        own: the instance behind it, when it is ours to end.
        """
        self.admin_amqp_url = url
        self.admin_url = admin_url
        self.host = urlsplit(url).hostname or "127.0.0.1"
        self.port = urlsplit(url).port or 5672
        self._own = own
        self._passwords: dict[str, str] = {}

    @property
    def restartable(self) -> bool:
        """Whether the instance is ours to kill and start again."""
        return isinstance(self._own, PrivateRabbit)

    def url(self, user: str | None = None, *, vhost: str = VHOST, port: int | None = None) -> str:
        """Return the AMQP address of a joined country, or the administrator's; `port` for a proxy in between."""
        admin = urlsplit(self.admin_amqp_url)
        name, password = (user, self.password(user)) if user else (admin.username or "", admin.password or "")
        return f"amqp://{quote(name)}:{quote(password)}@{self.host}:{port or self.port}/{quote(vhost, safe='')}"

    def password(self, user: str) -> str:
        """Return the user's password on this server, made at its first use."""
        return self._passwords.setdefault(user, secrets.token_urlsafe(18))

    def join(self, *members: CountryCode, vhost: str = VHOST, limits: QueueLimits | None = None) -> None:
        """Put countries on a virtual host as the definitions file of the product says.

        Raises:
            RabbitStartFailed: the server did not take them.
        """
        passwords = {member: self.password(member) for member in members}
        self.load(definitions(members, passwords=passwords, vhost=vhost, limits=limits))
        administrator = quote(urlsplit(self.admin_amqp_url).username or "", safe="")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.call("PUT", f"/api/permissions/{quote(vhost, safe='')}/{administrator}", everything)

    def load(self, content: Mapping[str, Any]) -> None:
        """Import a definitions file.

        Raises:
            RabbitStartFailed: the server did not take it.
        """
        self.call("POST", "/api/definitions", content)

    def delete_user(self, user: str) -> None:
        """Delete a user, which cuts its connections.

        Raises:
            RabbitStartFailed: there is no such user.
        """
        self.call("DELETE", f"/api/users/{quote(user, safe='')}")

    def delete_vhost(self, vhost: str) -> None:
        """Delete a virtual host with everything on it.

        Raises:
            RabbitStartFailed: there is no such virtual host.
        """
        self.call("DELETE", f"/api/vhosts/{quote(vhost, safe='')}")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the management API and return its answer.

        A server error is asked again for a while: a virtual host that was just made does not yet take queues, and one
        that just started again takes nothing. What is asked of it here may all be asked twice.

        Raises:
            RabbitStartFailed: it refused or does not answer.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        status, content = self._answer(method, path, body)
        while status >= http.HTTPStatus.INTERNAL_SERVER_ERROR and time.monotonic() < until:
            time.sleep(_AGAIN_SECONDS)
            status, content = self._answer(method, path, body)
            if status == http.HTTPStatus.NOT_FOUND and method == "DELETE":
                return None  # the first time did it after all
        if status >= http.HTTPStatus.BAD_REQUEST:
            said = content.decode("utf-8", "replace").strip()
            raise RabbitStartFailed(f"The management API answered {status}: {said}", where=path)
        return json.loads(content) if content.strip() else None

    def _answer(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        admin = urlsplit(self.admin_url)
        login = base64.b64encode(f"{admin.username}:{admin.password}".encode()).decode()
        connection = http.client.HTTPConnection(admin.hostname or "127.0.0.1", admin.port or 15672, timeout=30)
        try:
            headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise RabbitStartFailed("The management API does not answer.", where=path) from error
        finally:
            connection.close()

    def kill(self) -> None:
        """End the instance at once, as a power cut does.

        Raises:
            RuntimeError: it is not ours.
        """
        self._private().kill()

    def start(self) -> None:
        """Start the killed instance again on the same data and ports.

        Raises:
            RabbitStartFailed: it did not start.
            RuntimeError: it is not ours.
        """
        self._private().start()

    @contextlib.contextmanager
    def short_of_memory(self) -> Iterator[None]:
        """Let the memory alarm be on for the block: RabbitMQ then reads nothing from whoever publishes.

        Raises:
            RabbitStartFailed: rabbitmqctl failed.
            RuntimeError: the instance is not ours.
        """
        control = self._private().control
        control("set_vm_memory_high_watermark", "0.000001")
        try:
            yield
        finally:
            control("set_vm_memory_high_watermark", "absolute", "1GB")

    @contextlib.contextmanager
    def silent(self, queue: str, *, vhost: str = VHOST) -> Iterator[None]:
        """Let a queue confirm nothing for the block, as one does that has lost its quorum; all others go on.

        Raises:
            RabbitStartFailed: rabbitmqctl failed.
            RuntimeError: the instance is not ours.
        """
        control, found = self._private().control, f'rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>)'
        line = f"{{ok, Q}} = rabbit_amqqueue:lookup({found}), {{N, _}} = amqqueue:get_pid(Q), sys:%s(N)."
        control("eval", line % "suspend")
        try:
            yield
        finally:
            control("eval", line % "resume")

    def crash_dead_letter_workers(self) -> None:
        """End every worker that carries messages to a dead-letter queue, as a fault of its own would.

        Raises:
            RabbitStartFailed: rabbitmqctl failed.
            RuntimeError: the instance is not ours.
        """
        workers = "[exit(P, kill) || {_, P, _, _} <- supervisor:which_children(rabbit_fifo_dlx_sup)]"
        self._private().control("eval", f"{workers}, timer:sleep(200).")

    @contextlib.contextmanager
    def taking_bodies_of(self, most: int) -> Iterator[None]:
        """Let channels that are opened in the block publish so many bytes at a time, as a broker does that nobody set up.

        Raises:
            RabbitStartFailed: rabbitmqctl failed.
            RuntimeError: the instance is not ours.
        """
        control = self._private().control
        line = "application:set_env(rabbit, max_message_size, {0}), persistent_term:put(max_message_size, {0})."  # 3.10, 4.x
        control("eval", line.format(most))
        try:
            yield
        finally:
            control("eval", line.format(MAX_MESSAGE_BYTES))

    def said(self) -> str:
        """Return the warnings and errors that the broker has logged so far; nothing when it is not ours to read."""
        return self._own.said() if isinstance(self._own, PrivateRabbit) else ""

    def close(self) -> None:
        """End what was started here."""
        own, self._own = self._own, None
        if own is not None:
            own.close()

    def _private(self) -> PrivateRabbit:
        if not isinstance(self._own, PrivateRabbit):
            raise RuntimeError("this RabbitMQ was not started here: it is not ours to stop")
        return self._own


def broker_start(
    log: Log = print, *, url: str | None = None, admin_url: str | None = None, config: str = ""
) -> RabbitServer:
    """Return a running RabbitMQ; the caller closes it.

    Args:
        log: told in one line what was done.
        url: a server that the settings name, with an administrator's name and password.
        admin_url: its management API; default: port 15672 of the same host.
        config: further lines of rabbitmq.conf for an instance that is started here.

    Raises:
        RabbitMissing: there is none and none can be had.
        RabbitStartFailed: there is one and it does not start.
    """
    url = url or os.environ.get("TRM_TEST_AMQP_URL")
    if url:
        log("RabbitMQ: using the server that the settings name")
        return _named(url, admin_url or os.environ.get("TRM_TEST_AMQP_ADMIN_URL"))
    if (program := _program(log)) is not None:
        own = _started(program, config)
        log(f"RabbitMQ: started a private instance on 127.0.0.1:{own.port}")
        return _owned(own)
    if container_runs():
        container = RabbitContainer(config=config)
        log(f"RabbitMQ: started a container on 127.0.0.1:{container.port}")
        return _owned(container)
    raise RabbitMissing


def rabbitmq_program(log: Log = print) -> Path:
    """Return the installed program, after installing it when that is possible, for who starts it in a way of their own.

    Raises:
        RabbitMissing: it is not here and cannot be installed.
    """
    if (program := _program(log)) is None:
        raise RabbitMissing
    return program


@contextlib.contextmanager
def rabbitmq(
    log: Log = print, *, url: str | None = None, admin_url: str | None = None, config: str = ""
) -> Iterator[RabbitServer]:
    """Yield a running RabbitMQ and end what was started for it; arguments as `broker_start`.

    Raises:
        RabbitMissing: there is none and none can be had.
        RabbitStartFailed: there is one and it does not start.
    """
    server = broker_start(log, url=url, admin_url=admin_url, config=config)
    try:
        yield server
    finally:
        server.close()


def _program(log: Log) -> Path | None:
    program = installed_program()
    return installed_program() if program is None and install_package(log) else program


def _named(url: str, admin_url: str | None) -> RabbitServer:
    if admin_url is None:
        part = urlsplit(url)
        admin_url = f"http://{part.username}:{part.password}@{part.hostname}:15672"
    return RabbitServer(url=url, admin_url=admin_url)


def _started(program: Path, config: str) -> PrivateRabbit:
    own = PrivateRabbit(program, config=config)
    try:
        own.start()
    except BaseException:
        own.close()
        raise
    return own


def _owned(own: PrivateRabbit | RabbitContainer) -> RabbitServer:
    login = f"{quote(own.user)}:{quote(own.password)}"
    return RabbitServer(
        url=f"amqp://{login}@127.0.0.1:{own.port}/%2F", admin_url=f"http://{login}@127.0.0.1:{own.admin_port}", own=own
    )
