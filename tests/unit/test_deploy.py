# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What `deploy/` gives an operator fits the program: settings, units, alerts, and each command of the manuals."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client import CollectorRegistry

from broker.api.routes import PREFIX, ROUTES
from broker.cli import app
from broker.core.attention import AttentionCode
from broker.core.errors import Fate
from broker.metrics import Metrics
from broker.node import STOP_SECONDS
from broker.rows import OutboxState
from broker.settings import Settings
from broker.storage.schema import parse_url
from broker.vault.passphrase import source_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANUALS = ["README.md", *(f"{room}/README.md" for room in ("adapters", "broker", "deploy", "deploy/rabbitmq", "keys"))]
UNITS = sorted((DEPLOY / "systemd").iterdir())


@pytest.fixture(scope="module")
def commands() -> Any:
    """The command with all that stands below it."""
    return typer.main.get_command(app.build())


def _called(text: str) -> set[str]:
    """Return the calls of `trm` that stand in code: spans, and lines of blocks with those that they are continued on."""
    spans = re.findall(r"`(trm [^`]+)`", text.replace("\n", " "))
    lines = text.replace("\\\n", " ").splitlines()
    blocks = [
        match[1]
        for line in lines
        if (match := re.match(r"(?: {4}(?:sudo -u trm |\*/5 \* \* \* \* +/opt/trm/bin/)?|)(trm [a-z].*)", line))
    ]
    units = [match[1] for line in lines if (match := re.match(r"ExecStart=/opt/trm/bin/(trm .*)", line))]
    return {re.split(r"\s#|\s\||…", call)[0] for call in (*spans, *blocks, *units)}


def _unknown(commands: Any, call: str) -> str | None:
    """Return what of a call the program does not know."""
    found, words = commands, call.split()[1:]
    while words and hasattr(found, "commands"):
        if words[0].startswith(("-", "|")) or words[0].upper() == words[0]:
            return None  # a group as such
        name = words.pop(0).strip(",;:")
        if name not in found.commands:
            return name
        found = found.commands[name]
    options = {option for parameter in found.params for option in parameter.opts} | {"--help"}
    return next((word for word in words if word.startswith("--") and word.strip("],.") not in options), None)


@pytest.mark.parametrize("manual", [*MANUALS, *(str(unit.relative_to(ROOT)) for unit in UNITS)])
def test_each_command_of_a_manual_exists_with_its_options(commands: Any, manual: str) -> None:
    """Whoever follows the manual word for word meets no command and no option that is not there."""
    calls = _called((ROOT / manual).read_text("utf-8"))
    assert {call: wrong for call in calls if (wrong := _unknown(commands, call)) is not None} == {}


def test_the_check_of_commands_finds_what_is_wrong(commands: Any) -> None:
    """A command or option that is not there is found, in text and in a block, and calls are found at all."""
    found = _called("say `trm fly high` or\n\n    trm serve --hme X\n\n    sudo -u trm trm doctor --home X  # well\n")
    assert {call: _unknown(commands, call) for call in found} == {
        "trm fly high": "fly", "trm serve --hme X": "--hme", "trm doctor --home X ": None,
    }  # fmt: skip
    assert len(_called((DEPLOY / "README.md").read_text("utf-8"))) > 20


def test_the_settings_are_settings(tmp_path: Path) -> None:
    """A node would take them, with the database and the message broker that they name."""
    text = (DEPLOY / "settings.toml").read_text("utf-8")
    settings = Settings.checked(tmp_path, tomllib.loads(text))
    assert parse_url(settings.store_url).query == {"host": "/run/postgresql"}
    assert settings.amqp_address() == "amqps://broker.example.org/trm"
    Settings.checked(
        tmp_path, tomllib.loads(re.sub(r"^# ((\[adapters|authorities|folder).*)$", r"\1", text, flags=re.MULTILINE))
    )


def _values(unit: str, name: str) -> list[str]:
    text = (DEPLOY / "systemd" / unit).read_text("utf-8")
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("unit", ["trm.service", "trm-backup.service"])
def test_a_unit_gives_the_passphrase_and_keeps_keys_from_the_disk(
    unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credential is the one that a node looks for without a setting; neither core dump nor swap holds its memory."""
    (credential,) = _values(unit, "LoadCredentialEncrypted")
    name = credential.split(":")[0]
    (tmp_path / name).write_text("words")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = Settings.checked(tmp_path, tomllib.loads((DEPLOY / "settings.toml").read_text("utf-8")))
    assert source_of(settings) == f"credential:{name}"
    assert (_values(unit, "LimitCORE"), _values(unit, "MemorySwapMax"), _values(unit, "UMask")) == (
        ["0"],
        ["0"],
        ["0077"],
    )
    assert _values(unit, "User") == ["trm"]


def test_the_service_lets_the_node_finish_what_is_in_hand() -> None:
    """Systemd waits longer than the node itself does, and starts it again after a fault but not after a typing error."""
    (seconds,) = _values("trm.service", "TimeoutStopSec")
    assert float(seconds.removesuffix("s")) > 2 * STOP_SECONDS
    assert (_values("trm.service", "Restart"), _values("trm.service", "RestartPreventExitStatus")) == (
        ["on-failure"],
        ["2"],
    )


def test_the_backup_is_written_where_its_unit_may_write() -> None:
    """Both folders of the command, and the home for the entry in the audit trail; the timer starts exactly this unit."""
    (command,) = _values("trm-backup.service", "ExecStart")
    (writable,) = _values("trm-backup.service", "ReadWritePaths")
    folders = re.findall(r"--(?:home|to|keys-to) (\S+)", command)
    assert len(folders) == 3
    assert set(folders) == set(writable.split())
    assert _values("trm-backup.timer", "Persistent") == ["yes"]


def test_the_manual_scrapes_what_the_rules_ask_for() -> None:
    """The job has the name that the rules go by, at the endpoint of the metrics and the port of the settings."""
    manual = (DEPLOY / "README.md").read_text("utf-8")
    rules = (DEPLOY / "monitoring/trm.rules.yml").read_text("utf-8")
    jobs, (path,) = re.findall(r"job_name: (.*)", manual), re.findall(r"metrics_path: (.*)", manual)
    assert set(re.findall(r'job="([^"]+)"', rules)) == {jobs[0]}
    assert path in {PREFIX + route.path for route in ROUTES if route.name == "readMetrics"}
    assert f"127.0.0.1:{Settings.model_fields['api_port'].default}" in manual


def test_a_file_drops_missing_disk_keeps_no_node_down() -> None:
    """The unit says how to let the node write the folder of the settings' example, whether or not it is there."""
    (folder,) = re.findall(r'^# folder = "(.*)"$', (DEPLOY / "settings.toml").read_text("utf-8"), re.MULTILINE)
    assert f"ReadWritePaths=-{folder}" in (DEPLOY / "systemd/trm.service").read_text("utf-8")


def test_a_timer_that_takes_users_away_takes_them_out_of_what_a_restart_imports() -> None:
    """The file that RabbitMQ imports at each start is written by the same timer: an old one would let a suspended country in."""
    lines = re.findall(r"^ +\*/5 .*$", (DEPLOY / "rabbitmq/README.md").read_text("utf-8"), re.MULTILINE)
    (imported,) = re.findall(
        r"^definitions\.local\.path = (.*)$", (DEPLOY / "rabbitmq/rabbitmq.conf").read_text("utf-8"), re.MULTILINE
    )
    assert ["broker apply" in line for line in lines] == [False, True]
    assert f"broker definitions --home HOME --out {imported} " in lines[0]


def test_a_newer_build_of_the_same_number_is_installed() -> None:
    """Pip leaves the older program in place otherwise, and says no more than that it is there already."""
    lines = re.findall(r"^ +/opt/trm/bin/pip install .*\.whl$", (DEPLOY / "README.md").read_text("utf-8"), re.MULTILINE)
    assert lines
    assert all("--force-reinstall" in line for line in lines)


def test_alerts_ask_for_what_is_counted() -> None:
    """Each metric, state, fate and attention code of a rule is one that a node gives."""
    rules = (DEPLOY / "monitoring/trm.rules.yml").read_text("utf-8")
    metrics = Metrics(CollectorRegistry())
    metrics.attention_raised("forked")
    metrics.published("FI")
    metrics.rejected(Fate.QUARANTINE, "malformed")
    metrics.abused("FI", "no-user")
    counts = {"attention": 1, "quarantine.dropped": 0, "parked.dropped": 0}
    counts |= {f"outbox.{state}": 0 for state in OutboxState}
    given = metrics.exposition(counts).decode("ascii")

    expressions = re.findall(r"expr: (.*)", rules)
    assert len(expressions) == rules.count("- alert:") > 4
    assert set(re.findall(r'name="(trm-[^"]+)"', rules)) <= {unit.name for unit in UNITS}
    asked = {name for text in expressions for name in re.findall(r"\btrm_[a-z_]+", text)}
    assert {name for name in asked if f"\n{name}{{" not in given} == set()
    ours = " ".join(text for text in expressions if "node_systemd" not in text)
    for label, values in re.findall(r'(what|state|fate)=~?"([^"]+)"', ours):
        assert all(f'{label}="{value}"' in given for value in values.split("|"))
    (codes,) = re.findall(r'code=~"([^"]+)"', rules)
    assert set(codes.split("|")) == {code.value for code in AttentionCode if code.who == "security officer"}
