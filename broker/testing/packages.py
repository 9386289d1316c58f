# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What tests, demonstration and measurement can have installed or started on an empty machine: Debian packages, containers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["container_runs", "install_packages", "may_install"]

_DPKG = Path("/var/lib/dpkg")
# Somebody else's apt is awaited; two of ours never meet, since apt does not wait at all for the list of packages.
_APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300")


def may_install() -> bool:
    """Whether this is a Debian whose packages we may change."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and _DPKG.is_dir()


def install_packages(*names: str, log: Callable[[str], None]) -> bool:
    """Install packages, after any other process of ours that installs some; return whether they are there afterwards.

    Args:
        names: of the packages.
        log: told in apt's own words why they are not.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _alone():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
            done = subprocess.run(
                [*_APT, *command],
                env=environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("E: ")] or [f"exit code {done.returncode}"]
        log(f"apt-get could not install {', '.join(names)}: {said[0]}")
    return done.returncode == 0


def container_runs() -> bool:
    """Whether a Docker daemon answers."""
    if shutil.which("docker") is None:
        return False
    with contextlib.suppress(subprocess.TimeoutExpired):
        return subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0
    return False


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    place = os.open(_DPKG, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)
