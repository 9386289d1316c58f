# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Packages on an empty machine: two test workers that need one at the same moment both get it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker.testing import packages, rabbitmq_install

# Refuses to run beside another, as apt does; the last word of the command is the package.
_APT = """\
#!/bin/sh
mkdir "{0}/busy" || exit 100
for word; do :; done
echo "$word" >> "{0}/said"
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
        assert list(threads.map(packages.install_packages, wanted)) == [True] * len(wanted)
    asked = said.read_text().split()
    assert sorted(asked) == sorted([*wanted, *["update"] * len(wanted)])
    assert asked[::2] == ["update"] * len(wanted)


def test_a_package_that_cannot_be_had_is_said(said: Path) -> None:
    """The caller goes another way, or fails with its own sentence."""
    assert not packages.install_packages("missing")
    assert said.read_text().split() == ["update", "missing"]


def test_an_installed_message_broker_starts_neither_now_nor_at_the_next_boot(
    said: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tried the demonstration has no server of its listening to the network from the next boot on."""
    policy = tmp_path / "policy-rc.d"
    control = tmp_path / "bin" / "systemctl"
    control.write_text(f'#!/bin/sh\necho "$1-$2, policy $(test -e {policy} && echo stays || echo gone)" >> {said}\n')
    control.chmod(0o755)
    monkeypatch.setattr(rabbitmq_install, "_POLICY", policy)
    monkeypatch.setattr(rabbitmq_install, "may_install", lambda: True)

    assert rabbitmq_install.install_package(lambda _line: None)
    assert said.read_text().splitlines() == ["update", "rabbitmq-server", "disable-rabbitmq-server, policy gone"]
