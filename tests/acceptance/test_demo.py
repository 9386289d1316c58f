# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The demonstration as anybody runs it: a process of its own, over both transports, interrupted, and killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from broker.core.ladder import in_order
from broker.demo.checks import CHECKS
from broker.schema_files import read_schema_file

LONGEST_SECONDS = 120  # of one run on a machine that does other work too
ENDED_SECONDS = 20  # until everything has gone after an end by force
COMMAND = (sys.executable, "-m", "broker.cli")


def _environment(**more: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("TRM_")}, **more}


def _run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return _trm("demo", *arguments, **environment)


def _trm(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False, env=_environment(**environment)
    )


def _processes(folder: Path) -> list[int]:
    """Every process that works in the folder: the nodes name it on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
        except OSError:
            continue
        if os.fsencode(folder) in line and int(entry.name) != os.getpid() and b"serve" in line:
            found.append(int(entry.name))
    return found


def _wait_until(condition: Any, seconds: float = ENDED_SECONDS) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _personal(value: Any) -> Iterator[str]:
    """Every word of a name in the example files, and every free text."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name in {"given", "family", "at_birth"} and isinstance(item, Mapping) and "value" in item:
                yield str(item["value"])
            elif name in {"supporting_reasons", "note", "aliases", "circumstances"}:
                yield from ([item] if isinstance(item, str) else map(str, item))
            else:
                yield from _personal(item)
    elif isinstance(value, list):
        for item in value:
            yield from _personal(item)


@pytest.fixture(scope="module")
def personal() -> frozenset[str]:
    """What must never be printed or logged."""
    acts = ("request", "acknowledgement", "result")
    found = {word for act in acts for word in _personal(json.loads(read_schema_file(f"examples/demo/{act}.json")))}
    assert len(found) > 3
    return frozenset(found)


def _holds(document: dict[str, Any], transport: str) -> None:
    assert (document["scenario"], document["transport"]) == ("family-tracing", transport)
    assert (document["equal"], document["passed"]) == (True, True)
    assert {check["problem"] for check in document["checks"]} == {None}
    assert len(document["checks"]) == len(CHECKS) - (transport == "spool")  # there nobody has an account
    asking, asked, onlooker = document["nodes"]
    assert (asking["country"], asked["country"], onlooker["country"]) == ("EE", "FI", "SE")
    assert re.fullmatch(r"[0-9a-f]{64}", asking["digest"])
    assert asking["digest"] == asked["digest"]
    assert (asking["messages"], asked["messages"], onlooker["messages"], onlooker["digest"]) == (3, 3, 0, None)
    steps = document["timeline"]  # by time alone a receipt may be earlier than the transport's confirmation
    told = in_order(steps, message=itemgetter("message"), state=itemgetter("state"), at=itemgetter("at"))
    assert steps == [*told]
    assert document["timeline"][0].keys() == {"at", "who", "what", "state", "evidence", "message"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One run over the spool, and its folder."""
    folder = tmp_path_factory.mktemp("spool") / "demo"
    return _run("--transport", "spool", "--json", "--folder", folder), folder


def test_it_runs_without_any_server(played: Any):
    """Over the spool: one document on standard output, exit 0, files where it says, and no process left."""
    ran, folder = played

    document = json.loads(ran.stdout)
    assert ran.returncode == 0, ran.stderr
    _holds(document, "spool")
    assert document["folder"] == str(folder)
    assert (folder / "EE" / "settings.toml").is_file()
    assert _processes(folder) == []


def test_nothing_of_the_child_is_said_anywhere(played: Any, personal: frozenset[str]):
    """No name and no free text of the messages is printed, logged, or part of a file's name."""
    ran, folder = played

    logs = "".join(path.read_text() for path in folder.rglob("*.log"))
    names = "".join(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert logs
    assert "request" in ran.stdout
    assert not [word for word in personal if word in ran.stdout + ran.stderr + logs + names]


def test_both_homes_tell_the_same_afterwards(played: Any):
    """With every node ended, each country's own command shows the digest that the demonstration printed."""
    ran, folder = played
    document = json.loads(ran.stdout)
    message = document["timeline"][0]["message"]
    offices = {"EE": "social-insurance-board", "FI": "helsinki-wellbeing-services"}
    shown = {
        country: _trm("timeline", message, "--home", folder / country, "--authority", office, "--json")
        for country, office in offices.items()
    }

    assert {json.loads(one.stdout)["digest"] for one in shown.values()} == {document["nodes"][0]["digest"]}
    assert {json.loads(one.stdout)["role"] for one in shown.values()} == {"REQUESTING", "REQUESTED"}


def test_the_receiving_command_shows_and_opens(played: Any):
    """In the second country's home `trm show --opened` shows the request that the first one's file held."""
    ran, folder = played
    message = json.loads(ran.stdout)["timeline"][0]["message"]
    office = ("--home", folder / "FI", "--authority", "helsinki-wellbeing-services")
    shown = json.loads(_trm("show", message, *office, "--opened", "--json").stdout)

    assert shown["content"]["body"] == json.loads(read_schema_file("examples/demo/request.json"))["body"]
    assert shown["state"] == "opened"


@pytest.mark.rabbitmq
def test_it_runs_over_a_real_message_broker(tmp_path: Path):
    """Over RabbitMQ: the third country's account is really refused at the others' queues, and nothing is left."""
    ran = _run("--transport", "rabbitmq", "--json", "--folder", tmp_path / "demo")

    assert ran.returncode == 0, ran.stderr
    _holds(json.loads(ran.stdout), "rabbitmq")
    assert _processes(tmp_path) == []


def test_it_falls_back_to_the_spool_and_says_so(tmp_path: Path):
    """Where no RabbitMQ can be had, one clear line says so, people see the story, and --remove leaves no file."""
    folder = tmp_path / "demo"
    ran = _run("--folder", folder, "--remove", TRM_TEST_AMQP_URL="amqp://nobody:none@127.0.0.1:1/")

    assert ran.returncode == 0, ran.stderr
    assert sum("No RabbitMQ can be had" in line for line in ran.stderr.splitlines()) == 1
    for words in ("handed-over", "receipt signed by FI", "The two records are EQUAL.", "Proven.", "removed"):
        assert words in ran.stdout
    assert not folder.exists()


def test_it_fails_loudly_where_the_broker_that_was_asked_for_is_away(tmp_path: Path):
    """RabbitMQ by name and none to be had is a failure in a sentence, not a quiet spool."""
    url = "amqp://nobody:none@127.0.0.1:1/"
    ran = _run("--transport", "rabbitmq", "--json", "--folder", tmp_path / "demo", TRM_TEST_AMQP_URL=url)

    assert ran.returncode == 3
    assert json.loads(ran.stdout)["error"]["code"] == "rabbitmq-start-failed"


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    """The demonstration writes over nobody's files."""
    (tmp_path / "mine").write_text("mine")
    ran = _run("--transport", "spool", "--json", "--folder", tmp_path)

    assert (ran.returncode, json.loads(ran.stdout)["error"]["code"]) == (3, "home-invalid")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_leaves_no_process_however_it_ends(tmp_path: Path, number: signal.Signals):
    """Interrupted, ended, or killed without a chance to clean up: the nodes go too."""
    folder = tmp_path / "demo"
    command = [*COMMAND, "demo", "--transport", "spool", "--json", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment()) as demo:
        started = _wait_until(lambda: len(_processes(folder)) == 3 or demo.poll() is not None, LONGEST_SECONDS)
        running = len(_processes(folder))
        demo.send_signal(number)
        code = demo.wait(ENDED_SECONDS)

    assert started
    assert running == 3
    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 130)
    assert _wait_until(lambda: not _processes(folder))
