# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Packages on an empty machine: two test workers that need one at the same moment both get it."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker.testing import packages, postgres, programs, rabbitmq_install

# Refuses to run beside another, as apt does; the last word of the command is the package.
_APT = """\
#!/bin/sh
mkdir "{0}/busy" || exit 100
for word; do :; done
echo "$word" >> "{0}/said"
[ "$word" != missing ] || echo "W: old list
E: Unable to locate package missing
E: and so on" >&2
[ "$word" != missing ]
code=$?
rmdir "{0}/busy"
exit $code
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch) -> Path:
    """Put an apt of our own before the machine's, and return the file of what it was asked."""
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(_APT.format(tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(packages, "_DPKG", tmp_path)
    return tmp_path / "said"


def test_two_that_install_at_once_wait_for_each_other(said: Path) -> None:
    """None of them meets the other's lock, and each finds its package."""
    wanted = [f"package-{number}" for number in range(4)]
    with ThreadPoolExecutor(len(wanted)) as threads:
        installed = threads.map(lambda name: packages.install_packages(name, log=print), wanted)
        assert list(installed) == [True] * len(wanted)
    asked = said.read_text().split()
    assert sorted(asked) == sorted([*wanted, *["update"] * len(wanted)])
    assert asked[::2] == ["update"] * len(wanted)


def test_a_package_that_cannot_be_had_is_said(said: Path) -> None:
    """In apt's own words; the caller goes another way, or fails with its own sentence."""
    told: list[str] = []
    assert not packages.install_packages("missing", log=told.append)
    assert said.read_text().split() == ["update", "missing"]
    assert told == ["apt-get could not install missing: E: Unable to locate package missing"]


def test_an_installed_message_broker_starts_neither_now_nor_at_the_next_boot(
    said: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tried the demonstration has no server of its listening to the network from the next boot on, nor Erlang's."""
    policy = tmp_path / "policy-rc.d"
    control = tmp_path / "bin" / "systemctl"
    control.write_text(f'#!/bin/sh\necho "$@, policy $(test -e {policy} && echo stays || echo gone)" >> {said}\n')
    control.chmod(0o755)
    monkeypatch.setattr(rabbitmq_install, "_POLICY", policy)
    monkeypatch.setattr(rabbitmq_install, "may_install", lambda: True)
    which = rabbitmq_install.shutil.which
    mapper: list[str] = []
    monkeypatch.setattr(
        rabbitmq_install.shutil, "which", lambda name: (mapper or [None])[0] if name == "epmd" else which(name)
    )

    assert rabbitmq_install.install_package(lambda _line: None)
    mapper.append("/usr/bin/epmd")
    assert rabbitmq_install.install_package(lambda _line: None)
    asked = ["update", "rabbitmq-server"]
    assert said.read_text().splitlines() == [
        *asked, "disable rabbitmq-server.service epmd.socket epmd.service, policy gone",
        *asked, "disable rabbitmq-server.service, policy gone",  # an Erlang that was here before is somebody's
    ]  # fmt: skip


def test_what_holds_services_back_forbids_nothing_once_its_process_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of an install it leaves a file, by which every other service of the machine still starts."""
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(rabbitmq_install, "_POLICY", policy)

    def answer(service: str) -> int:
        return subprocess.run([policy, service, "start"], check=False).returncode

    with rabbitmq_install._no_services():
        assert (answer("rabbitmq-server"), answer("epmd.socket"), answer("prometheus.service")) == (101, 101, 0)
        left = policy.read_text()
    assert not policy.exists()
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    policy.write_text(left.replace(str(os.getpid()), str(gone.pid)))
    policy.chmod(0o755)
    assert answer("rabbitmq-server") == 0


def test_a_postgresql_that_is_installed_for_tests_forbids_no_cluster_afterwards(
    said: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package makes none for us; one that the machine's owner installs later is made as everywhere."""
    monkeypatch.setattr(postgres, "_DEBIAN_CLUSTERS", tmp_path / "createcluster.d")
    monkeypatch.setattr(postgres, "may_install", lambda: True)
    monkeypatch.setattr(postgres, "_binaries", lambda: None)
    told: list[str] = []
    assert postgres.postgres_program(told.append) is None
    assert said.read_text().split() == ["update", "postgresql-common", "update", "postgresql"]
    assert told == ["PostgreSQL: installing the Debian package postgresql (without its own cluster)"]
    assert list((tmp_path / "createcluster.d").iterdir()) == []


def test_what_the_tests_lack_is_named_before_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is here and nothing may be installed, all of it at once; a container serves PostgreSQL alone."""
    nothing = {"rabbitmq.installed_program": None, "softhsm._found": None, "postgres._binaries": None}
    for name, found in nothing.items():
        monkeypatch.setattr(f"broker.testing.{name}", lambda found=found: found)
    for room in ("rabbitmq_install", "softhsm", "postgres"):
        monkeypatch.setattr(f"broker.testing.{room}.may_install", lambda: False)
    told: list[str] = []
    monkeypatch.setattr(programs, "container_runs", lambda: False)
    assert programs.missing_programs(told.append) == ("rabbitmq-server", "postgresql", "softhsm2")
    monkeypatch.setattr(programs, "container_runs", lambda: True)
    assert programs.missing_programs(told.append) == ("rabbitmq-server", "softhsm2")
    assert told == []
