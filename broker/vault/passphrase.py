# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The passphrase of the vault, or the PIN of its HSM: from a file, a descriptor, a systemd credential or a prompt."""

from __future__ import annotations

import getpass
import os
import re
import sys
from pathlib import Path

from broker.core.errors import SettingsInvalid, VaultLocked
from broker.settings import Settings

__all__ = ["MAX_PASSPHRASE_BYTES", "checked", "read_source", "source_of", "stays"]

MAX_PASSPHRASE_BYTES = 4096
_CREDENTIAL = "trm-passphrase"
_PROMPT = "prompt"


def source_of(settings: Settings) -> str:
    """Return where the passphrase comes from: the setting, else systemd's usual credential, else a prompt."""
    if settings.passphrase_file is not None:
        return settings.passphrase_file
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return f"credential:{_CREDENTIAL}" if folder and (Path(folder) / _CREDENTIAL).is_file() else _PROMPT


def stays(source: str) -> bool:
    """Whether the source can be read again: a descriptor gives it once, and nobody sits at a prompt for long."""
    return source != _PROMPT and not source.startswith("fd:")


def read_source(source: str, *, home: Path) -> bytes:
    """Return what a source gives: a path, relative to the home, ``fd:N``, ``credential:NAME`` or ``prompt``.

    Raises:
        VaultLocked: that place gives none.
        SettingsInvalid: it is not a place.
    """
    if source == _PROMPT:
        return _prompted()
    if source.startswith("fd:"):
        return _from_descriptor(source)
    if source.startswith("credential:"):
        name, folder = source.removeprefix("credential:"), os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder or re.fullmatch(r"[A-Za-z0-9._-]+", name) is None or name in {".", ".."}:
            raise VaultLocked("systemd gave this process no credential of that name.", where="passphrase_file")
        return _from_file(Path(folder) / name)
    return _from_file(home / source)


def checked(passphrase: bytes) -> bytes:
    """Return the passphrase if it is one.

    Raises:
        VaultLocked: it is empty or endless.
    """
    if not passphrase:
        raise VaultLocked("The passphrase is empty.")
    if len(passphrase) > MAX_PASSPHRASE_BYTES:
        raise VaultLocked("The passphrase is longer than one can be.")
    return passphrase


def _prompted() -> bytes:
    if not sys.stdin.isatty():
        raise VaultLocked(
            "Nobody can be asked for the passphrase here; set `passphrase_file`.", where="passphrase_file"
        )
    return checked(getpass.getpass("Passphrase of the vault: ").encode("utf-8"))


def _from_descriptor(source: str) -> bytes:
    number = source.removeprefix("fd:")
    if not number.isascii() or not number.isdecimal():
        raise SettingsInvalid("`fd:` is followed by a number.", where="passphrase_file")
    try:
        with os.fdopen(int(number), "rb", closefd=True) as stream:
            return checked(stream.read(MAX_PASSPHRASE_BYTES + 1).rstrip(b"\r\n"))
    except (OSError, OverflowError):
        raise VaultLocked("The file descriptor with the passphrase cannot be read.", where=source) from None


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return checked(stream.read(MAX_PASSPHRASE_BYTES + 1).rstrip(b"\r\n"))
    except (OSError, ValueError):
        raise VaultLocked("The passphrase file cannot be read.", where=str(path)) from None
