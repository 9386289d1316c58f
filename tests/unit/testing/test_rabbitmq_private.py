# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A private RabbitMQ never outlives the process that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker.testing.rabbitmq_private import PrivateRabbit, RabbitStartFailed, answers, free_ports, group_lives

_STARTER = """
import sys
from pathlib import Path
from broker.testing.rabbitmq_private import PrivateRabbit
rabbit = PrivateRabbit(Path("/nowhere"))
rabbit._spawn("broker", ["/bin/sh", "-c", "sleep 1000 & sleep 1000"])
print(rabbit._parts["broker"][0].pid, flush=True)
sys.stdin.read()
"""


def gone(group: int, folder: Path) -> bool:
    """Whether the group and all its files go within ten seconds."""
    until = time.monotonic() + 10
    while group_lives(group) or any(folder.iterdir()):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_killed_starter_takes_its_server_and_files_along(tmp_path: Path) -> None:
    """SIGKILL of the process that started it ends the whole group and removes the data."""
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    group = int(starter.stdout.readline())
    assert group_lives(group)
    assert any(tmp_path.iterdir())
    starter.kill()
    starter.communicate()
    assert gone(group, tmp_path)


def test_closing_ends_all_parts_and_removes_the_files(tmp_path: Path, monkeypatch) -> None:
    """After close there is no process and no file left, and a second close changes nothing."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rabbit = PrivateRabbit(Path("/nowhere"))
    for name in ("epmd", "broker"):
        rabbit._spawn(name, ["/bin/sh", "-c", "sleep 1000 & sleep 1000"])
    groups = [part.pid for part, _ in rabbit._parts.values()]
    rabbit.close()
    rabbit.close()
    assert not any(map(group_lives, groups))
    assert list(tmp_path.iterdir()) == []


def test_the_ports_are_free_and_different() -> None:
    """Nobody answers on a port that is given out."""
    ports = free_ports(4)
    assert len(set(ports)) == 4
    assert not any(map(answers, ports))


_BOOT = """\
2026-11-24 [error] <0.153.0> BOOT FAILED
BOOT FAILED
===========
ERROR: epmd error for host localhost: nxdomain (non-existing domain)

Crash dump is being written to: erl_crash.dump...done
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (_BOOT, "ERROR: epmd error for host localhost: nxdomain (non-existing domain)"),
        ("first\nerl: not found\n", "erl: not found"),
        ("", "it said nothing"),
    ],
)
def test_why_it_did_not_start_is_told_in_its_own_words(tmp_path: Path, monkeypatch, said: str, reason: str) -> None:
    """Its output goes with its files: the one line that says why is in the error."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "said").write_text(said)
    rabbit = PrivateRabbit(Path("/nowhere"))
    rabbit._spawn("broker", ["/bin/cat", str(tmp_path / "said")])
    with pytest.raises(RabbitStartFailed) as raised:
        rabbit._wait(rabbit.port, "broker")
    rabbit.close()
    assert raised.value.detail == f"The private RabbitMQ's broker did not start: {reason}"
