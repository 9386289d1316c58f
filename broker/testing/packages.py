# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Debian packages that tests, demonstration and measurement need on an empty machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["install_packages", "may_install"]

_DPKG = Path("/var/lib/dpkg")
# Somebody else's apt is awaited; two of ours never meet, since apt does not wait at all for the list of packages.
_APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300")


def may_install() -> bool:
    """Whether this is a Debian whose packages we may change."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and _DPKG.is_dir()


def install_packages(*names: str) -> bool:
    """Install packages, after any other process of ours that installs some; return whether they are there afterwards."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _alone():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
            done = subprocess.run(
                [*_APT, *command], env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False
            )
    return done.returncode == 0


@contextmanager
def _alone() -> Iterator[None]:
    place = os.open(_DPKG, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)
