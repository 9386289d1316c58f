# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One RabbitMQ of our own from the installed program: own node name, data, cookie and loopback ports, no system service.

Each part is a process group of its own, watched by a small shell that ends the group when our end of a pipe closes: so
nothing is left running, not even when this process is killed. `kill` is the power cut that the fault tests want.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.core.errors import NodeError

__all__ = ["PrivateRabbit", "RabbitStartFailed", "installed_program"]

_BIN = Path("/usr/lib/rabbitmq/bin")  # Debian: /usr/sbin holds wrappers that change user and folder
_KEEPER = 'read -r _; kill -9 "-$0"; rm -rf "$1"'  # dash knows no "--" before a process group
_PORTS = range(20_000, 32_000)
_END_SECONDS = 10.0
_START_SECONDS = 90.0  # a loaded machine; an idle one needs 5 to 8
_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {admin}
management_agent.disable_metrics_collector = true
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
loopback_users = none
max_message_size = 2097152
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 1GB
raft.wal_max_size_bytes = 67108864
log.console = false
log.file.level = warning
"""
# Up to some version (3.10.8 has it, 4.3.6 not) two crashes of dead-letter workers within five seconds end their supervisor
# for ever, and with it each queue: a virtual host that is deleted right after a restart can do that. So a private one bears
# as many as newer versions do.
_BEARING = """\
case whereis(rabbit_fifo_dlx_sup) of undefined -> supervisor:restart_child(rabbit_sup, rabbit_fifo_dlx_sup); _ -> ok end,
sys:replace_state(rabbit_fifo_dlx_sup, fun
  (S) when element(6, S) =:= 1, element(7, S) =:= 5 -> setelement(7, setelement(6, S, 100), 1);
  (S) -> S
end)."""
# How long a message that a full dead queue refused waits before it is offered there again; 3 minutes by default.
_ADVANCED = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 3000}]}].\n"


class RabbitStartFailed(NodeError):
    """The private RabbitMQ did not start."""

    code = "rabbitmq-start-failed"


def installed_program(name: str = "rabbitmq-server") -> Path | None:
    """Return the program's real script, past the distribution's wrapper that only serves the system service."""
    if (_BIN / name).exists():
        return _BIN / name
    found = shutil.which(name)
    return Path(found) if found else None


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now.

    They lie below the range that outgoing connections take theirs from: while the server is down between two starts, a
    client's own connection could otherwise sit on the server's port.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


def answers(port: int) -> bool:
    """Whether somebody listens on the loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def group_lives(group: int) -> bool:
    """Whether the process group still has a member."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class PrivateRabbit:
    """Starts, kills and restarts one private RabbitMQ on the same data until closed."""

    def __init__(self, program: Path, *, config: str = "", beside: PrivateRabbit | None = None) -> None:
        """Args:
        program: the `rabbitmq-server` script.
        config: further lines of rabbitmq.conf, e.g. a TLS listener.
        beside: the one whose cluster it joins when it is first started.
        """
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="trm-rabbitmq-"))
        self.port, self.admin_port, self.epmd_port, self._dist_port = free_ports(4)
        self.user = "trm-admin"
        self.password = secrets.token_hex(18)  # with "-" in front rabbitmqctl would take it for an option
        self.cookie = secrets.token_hex(16)
        self._beside, self._joined = beside, False
        if beside is not None:
            self.password, self.cookie, self.epmd_port = beside.password, beside.cookie, beside.epmd_port
        self.node = f"trm{secrets.token_hex(4)}@localhost"
        self._parts: dict[str, tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]] = {}
        self._write_files(config)

    def start(self) -> None:
        """Start the node on its data and wait until it takes connections.

        Raises:
            RabbitStartFailed: it ended or did not answer in time.
        """
        if "epmd" not in self._parts and self._beside is None:
            epmd = shutil.which("epmd") or "/usr/lib/erlang/bin/epmd"
            self._spawn("epmd", [epmd, "-port", str(self.epmd_port), "-address", "127.0.0.1"])
            self._wait(self.epmd_port, "epmd")
        self._spawn("broker", [str(self._program)])
        self._wait(self.admin_port, "broker")
        self._wait(self.port, "broker")
        if self._beside is not None and not self._joined:
            for step in (("stop_app",), ("join_cluster", self._beside.node), ("start_app",)):
                self.control(*step)
            self._joined = True
        self.control("eval", _BEARING)

    def kill(self) -> None:
        """End the node at once, as a power cut does (SIGKILL)."""
        self._end("broker")

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl and return what it says.

        Raises:
            RabbitStartFailed: it failed.
        """
        command = [str(self._program.with_name("rabbitmqctl")), "-q", "-n", self.node, *arguments]
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=_START_SECONDS, check=False
        )
        if done.returncode:
            raise RabbitStartFailed(f"rabbitmqctl {arguments[0]} ended with {done.returncode}")
        return done.stdout

    def shell(self, line: str) -> None:
        """Run a line as an operator would who reads it somewhere; rabbitmqctl in it means this broker's.

        Raises:
            RabbitStartFailed: it failed.
        """
        program = shlex.join([str(self._program.with_name("rabbitmqctl")), "-q", "-n", self.node])
        command = ["/bin/sh", "-ec", f'rabbitmqctl() {{ {program} "$@"; }}\n{line}']
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=_START_SECONDS, check=False
        )
        if done.returncode:
            raise RabbitStartFailed(f"an operator's line ended with {done.returncode}")

    def said(self) -> str:
        """Return the warnings and errors that the node has logged so far, over all its starts."""
        return "".join(log.read_text("utf-8", "replace") for log in sorted((self._folder / "log").glob("*.log")))

    def close(self) -> None:
        """End everything that was started and remove its files."""
        for name in list(self._parts):
            self._end(name)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_files(self, config: str) -> None:
        own = _CONFIG.format(amqp=self.port, admin=self.admin_port, user=self.user, password=self.password)
        (self._folder / "rabbitmq.conf").write_text(own + config)
        (self._folder / "enabled_plugins").write_text("[rabbitmq_auth_mechanism_ssl,rabbitmq_management].\n")
        (self._folder / "rabbitmq-env.conf").write_text("")
        (self._folder / "advanced.config").write_text(_ADVANCED)
        (self._folder / "conf.d").mkdir()
        cookie = self._folder / ".erlang.cookie"
        cookie.write_text(self.cookie)
        cookie.chmod(0o400)

    def _environment(self) -> Mapping[str, str]:
        folder = self._folder
        return {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": str(folder),  # where Erlang looks for the cookie
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MAX_NUMBER_OF_PROCESSES": "65536",  # the default table alone takes 16 MB
        }

    def _spawn(self, name: str, command: Sequence[str]) -> None:
        with (self._folder / f"{name}.out").open("ab") as output:
            part = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment(),
                cwd=self._folder,
                start_new_session=True,
            )
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, str(part.pid), str(self._folder)], stdin=subprocess.PIPE, start_new_session=True
        )
        self._parts[name] = part, keeper

    def _end(self, name: str) -> None:
        part, keeper = self._parts.pop(name)
        keeper.kill()  # first: later the group's number may belong to somebody else
        keeper.communicate()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(part.pid, signal.SIGKILL)
        part.wait()
        until = time.monotonic() + _END_SECONDS
        while group_lives(part.pid) and time.monotonic() < until:
            time.sleep(0.01)

    def _wait(self, port: int, name: str) -> None:
        until = time.monotonic() + _START_SECONDS
        part, _ = self._parts[name]
        while not answers(port):
            if part.poll() is not None or time.monotonic() > until:
                raise RabbitStartFailed(f"The private RabbitMQ's {name} did not start: {self._reason(name)}")
            time.sleep(0.1)

    def _reason(self, name: str) -> str:
        """Return what the part itself said of its failure: its files go with it."""
        output = (self._folder / f"{name}.out").read_text("utf-8", "replace").strip()
        told = re.search(r"^error\b.*", output, re.IGNORECASE | re.MULTILINE)
        return told.group() if told else (output.splitlines() or ["it said nothing"])[-1]
