# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A SoftHSM token for tests, in a folder of its own: never for real keys, they lie in files there."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.testing.packages import install_packages, may_install

__all__ = ["SoftHsm", "SoftHsmMissing", "softhsm", "softhsm_library"]

_TOKEN = "trm-test"  # noqa: S105  a label
_LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


class SoftHsmMissing(Exception):
    """SoftHSM is not installed and cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftHsm:
    """One token; ``SOFTHSM2_CONF`` in the environment names its folder."""

    library: Path
    token: str
    pin: bytes
    config: Path


@contextmanager
def softhsm(folder: Path) -> Iterator[SoftHsm]:
    """Make a token in the folder and name it in this process's environment meanwhile.

    Raises:
        SoftHsmMissing: it is not installed, and this user may not install it.
    """
    library = softhsm_library()
    tokens, config, pin = folder / "tokens", folder / "softhsm2.conf", secrets.token_hex(8)
    tokens.mkdir(mode=0o700)
    config.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    # The library reads it when it is loaded; there is no other way to tell it.
    os.environ["SOFTHSM2_CONF"] = str(config)
    try:
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", _TOKEN, "--pin", pin, "--so-pin", pin],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        yield SoftHsm(library=library, token=_TOKEN, pin=pin.encode("ascii"), config=config)
    finally:
        if before is None:
            os.environ.pop("SOFTHSM2_CONF", None)
        else:
            os.environ["SOFTHSM2_CONF"] = before


def softhsm_library(log: Callable[[str], None] = print) -> Path:
    """Return the installed library, after installing it when that is possible.

    Raises:
        SoftHsmMissing: it is not here and cannot be installed.
    """
    found = _found()
    if found is None and may_install():
        log("SoftHSM: installing the Debian package softhsm2")
        found = _found() if install_packages("softhsm2", log=log) else None
    if found is None:
        raise SoftHsmMissing("Install SoftHSM (Debian: softhsm2) to test the vault under an HSM.")
    return found


def _found() -> Path | None:
    if shutil.which("softhsm2-util") is None:
        return None
    return next((path for path in map(Path, _LIBRARIES) if path.exists()), None)
