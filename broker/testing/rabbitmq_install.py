# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two ways to a RabbitMQ that is not installed yet: the Debian package, and a container."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from broker.testing.packages import install_packages, may_install
from broker.testing.rabbitmq_private import RabbitStartFailed, free_ports

__all__ = ["RabbitContainer", "install_package"]

_IMAGE = "rabbitmq:4-management"
_POLICY = Path("/usr/sbin/policy-rc.d")
# Debian asks this script before a service starts. Should we be killed before it is removed again, it forbids nothing more.
_REFUSAL = """\
#!/bin/sh
case "$1" in rabbitmq-server*|epmd*) kill -0 {} 2>/dev/null && exit 101 ;; esac
exit 0
"""
_OWN = ("rabbitmq-server.service", "epmd.socket", "epmd.service")
_START_SECONDS = 180.0  # the first time the image is fetched


def install_package(log: Callable[[str], None]) -> bool:
    """Install the Debian package without letting a service of it start, now or at the next boot; return whether it is there.

    Erlang's port mapper, which comes with it, would listen on every address of the machine. One that was here before stays.
    """
    if not may_install():
        return False
    log("RabbitMQ: installing the Debian package rabbitmq-server (its own service is not started)")
    services = _OWN if shutil.which("epmd") is None else _OWN[:1]
    with _no_services():
        installed = install_packages("rabbitmq-server", log=log)
    if shutil.which("systemctl") is not None:
        subprocess.run(["systemctl", "disable", *services], capture_output=True, check=False)
    return installed


class RabbitContainer:
    """One RabbitMQ in a container, removed when closed."""

    def __init__(self, *, config: str = "") -> None:
        """Args:
        config: further lines of rabbitmq.conf.

        Raises:
            RabbitStartFailed: Docker refused, or it did not answer in time.
        """
        self.port, self.admin_port = free_ports(2)
        self.user = "trm-admin"
        self.password = secrets.token_urlsafe(18)
        self._folder = Path(tempfile.mkdtemp(prefix="trm-rabbitmq-"))
        self._folder.chmod(0o755)  # read by the container's own user
        file = self._folder / "20-trm.conf"
        file.write_text(
            f"default_user = {self.user}\ndefault_pass = {self.password}\nloopback_users = none\n"
            f"max_message_size = 2097152\n{config}"
        )
        file.chmod(0o644)
        self._id = self._run()
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the container and its files."""
        subprocess.run(["docker", "rm", "-f", "-v", self._id], capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> str:
        command = ["docker", "run", "-d", "--rm", "-p", f"127.0.0.1:{self.port}:5672"]
        command += ["-p", f"127.0.0.1:{self.admin_port}:15672"]
        command += ["-v", f"{self._folder / '20-trm.conf'}:/etc/rabbitmq/conf.d/20-trm.conf:ro", _IMAGE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
        if done.returncode:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise RabbitStartFailed("Docker did not start the RabbitMQ container.")
        return done.stdout.strip()

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > until:
                raise RabbitStartFailed("The RabbitMQ container did not answer in time.")
            time.sleep(0.25)

    def _answers(self) -> bool:
        # Docker's own proxy accepts connections before the server does: ask the server.
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        try:
            connection.request("GET", "/api/")
            return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    if _POLICY.exists():  # it has its own reasons
        yield
        return
    _POLICY.write_text(_REFUSAL.format(os.getpid()))
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
