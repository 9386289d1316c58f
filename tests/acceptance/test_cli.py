# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The command as a process: serving, stopping, and every bad surrounding as a sentence."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.api.local_issuer import LocalIssuer
from broker.core.ids import CountryCode
from broker.schema_files import load_catalogue, read_schema_file
from broker.settings import TOKEN_KEY_FILE
from broker.system import SystemClock
from broker.testing.federation import make_federation
from broker.transport.spool import create

COMMAND = (sys.executable, "-m", "broker.cli")
LONGEST_SECONDS = 60
OFFICE = "social-insurance-board"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """EE's home in a federation of EE and FI over a spool."""
    catalogue = load_catalogue()
    versions = {kind: catalogue.versions(kind) for kind in catalogue.types()}
    federation = make_federation(tmp_path, ("EE", "FI"), messages=versions, now=SystemClock().now())
    create(federation.spool_folder, [CountryCode("EE"), CountryCode("FI")])
    for country, folder in federation.homes.items():
        LocalIssuer.create(folder / TOKEN_KEY_FILE, us=country, clock=SystemClock())
    return federation.homes[CountryCode("EE")]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TRM_")}


def _trm(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False, env=_environment(),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def _serving(home: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [*COMMAND, "serve", "--home", str(home), "--json", *more]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=_environment(), **pipes) as node:
        try:
            assert node.stdout is not None
            yield node, json.loads(node.stdout.readline())
        finally:
            if node.poll() is None:
                node.kill()


def test_help_answers_at_once():
    """`trm --help` is there within a second of processor time, because nothing heavy is imported for it."""
    before = os.times()
    ran = _trm("--help")
    after = os.times()

    used = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    assert ran.returncode == 0
    assert used < 1.0


def test_a_node_says_that_it_is_ready_and_stops_in_good_order(home: Path):
    """One line with the address; SIGTERM ends it with exit code 0, and the log tells start and end."""
    with _serving(home) as (node, ready):
        with urllib.request.urlopen(f"{ready['url']}/api/v1/health", timeout=10) as answer:
            health = json.load(answer)
        node.send_signal(signal.SIGTERM)
        out, err = node.communicate(timeout=LONGEST_SECONDS)

    assert (ready["event"], ready["country"], ready["pid"]) == ("ready", "EE", node.pid)
    assert health == {"live": True, "ready": True}
    assert (node.returncode, out) == (0, "")
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert events.index("node.ready") < events.index("node.stopped")


def test_a_node_on_a_leash_ends_with_its_starter(home: Path):
    """With --until-eof the end of standard input stops the node as a signal does."""
    with _serving(home, "--until-eof") as (node, _):
        assert node.stdin is not None
        node.stdin.close()
        code = node.wait(LONGEST_SECONDS)

    assert code == 0


def test_a_message_submitted_beside_a_running_node_is_sent_by_it(home: Path, tmp_path: Path):
    """The command stores, the node sends: the envelope appears in the other country's spool."""
    file = tmp_path / "request.json"
    file.write_bytes(read_schema_file("examples/demo/request.json"))
    waiting = tmp_path / "spool" / "FI" / "new"
    with _serving(home) as (node, _):
        ran = _trm("submit", file, "--home", home, "--json")
        end = time.monotonic() + LONGEST_SECONDS
        while not list(waiting.iterdir()) and time.monotonic() < end:
            time.sleep(0.05)
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=LONGEST_SECONDS)

    accepted = json.loads(ran.stdout)
    assert [path.name.startswith(accepted["message"]) for path in waiting.iterdir()] == [True]
    shown = json.loads(_trm("timeline", accepted["procedure"], "--home", home, "--authority", OFFICE, "--json").stdout)
    assert [line["state"] for line in shown["timeline"]] == ["recorded", "published"]


def test_a_token_of_the_command_opens_the_api(home: Path):
    """What `trm token` prints is accepted by the running node; without it the answer is 401."""
    token = _trm("token", "--home", home, "--authority", OFFICE).stdout.strip()
    with _serving(home) as (node, ready):
        address = f"{ready['url']}/api/v1/messages"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            listed = json.load(answer)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address, timeout=10)
        refused.value.close()
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=LONGEST_SECONDS)

    assert listed == {"items": []}
    assert refused.value.code == 401


def _garble(file: Path) -> None:
    file.write_bytes(b"\xff\x00 nonsense")


BAD: dict[str, tuple[Any, str]] = {
    "no home": (lambda home: home.rename(home.with_name("away")), "home-invalid"),
    "unreadable settings": (lambda home: _garble(home / "settings.toml"), "settings-invalid"),
    "an unknown setting": (lambda home: (home / "settings.toml").write_text("colour = 'red'"), "settings-invalid"),
    "no vault": (lambda home: (home / "vault.json").unlink(), "home-invalid"),
    "a damaged vault": (lambda home: _garble(home / "vault.json"), "home-invalid"),
    "a wrong passphrase": (lambda home: (home / "passphrase").write_text("another"), "vault-locked"),
    "no passphrase": (lambda home: (home / "passphrase").unlink(), "vault-locked"),
    "no token key": (lambda home: (home / TOKEN_KEY_FILE).unlink(), "key-missing"),
    "no trust list": (lambda home: (home / "trust" / "root.json").unlink(), "trust-list-invalid"),
    "a damaged database": (lambda home: (home / "trm.db").write_bytes(b"nonsense" * 1000), "store-"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_node_that_cannot_start_says_why(home: Path, name: str):
    """Each bad surrounding is one sentence with its code, who must act, and exit code 3; never a traceback."""
    spoil, code = BAD[name]
    spoil(home)
    ran = _trm("serve", "--home", home)

    assert ran.returncode == 3, ran.stderr
    assert re.search(rf"^trm: {code}", ran.stderr, re.MULTILINE)
    assert "who must act:" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


def test_a_port_that_is_taken_is_a_sentence(home: Path):
    """Another program on the port is told by the settings' names."""
    settings = home / "settings.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings.write_text(settings.read_text().replace("api_port = 0", f"api_port = {taken.getsockname()[1]}"))
        ran = _trm("serve", "--home", home, "--json")

    error = json.loads(ran.stdout)["error"]
    assert (ran.returncode, error["code"]) == (3, "settings-invalid")
    assert "api_port" in error["where"]


def test_a_full_disk_is_a_sentence(home: Path, tmp_path: Path):
    """Where nothing more can be written, submitting says so and nothing half is left behind."""
    file = tmp_path / "request.json"
    file.write_bytes(read_schema_file("examples/demo/request.json"))
    assert _trm("inbox", "--home", home, "--authority", OFFICE).returncode == 0
    # KiB that any file may have: the write-ahead log fails in the middle, its index (32 KiB) does not.
    limited = 'ulimit -f 48; exec "$@"'
    command = ["bash", "-c", limited, "trm", *COMMAND, "submit", str(file), "--home", str(home), "--json"]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False, env=_environment()
    )

    assert ran.returncode == 3, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["error"]["code"] in {"disk-full", "store-unavailable"}
    assert "Traceback" not in ran.stderr
    listed = _trm("inbox", "--home", home, "--direction", "all", "--authority", OFFICE, "--json")
    assert json.loads(listed.stdout) == {"items": []}
