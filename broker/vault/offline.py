# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A person's own key that no node holds: a file of one encrypted entry, and beside it the public part for everybody."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from broker.core.errors import HomeInvalid
from broker.core.ids import CountryCode
from broker.durable import not_written, write_durably
from broker.vault.entries import Entry
from broker.vault.file import VaultFile
from broker.vault.wrapping import PassphraseWrapper

__all__ = ["public_beside", "write_offline_key"]


def public_beside(path: Path) -> Path:
    """Return where the public part of that key is."""
    return path.with_name(f"{path.name}.public.json")


def write_offline_key(
    path: Path, entry: Entry, public: bytes, country: CountryCode, wrapper: PassphraseWrapper
) -> None:
    """Write a new key and its public part, both or neither.

    Raises:
        HomeInvalid: there is such a file already, or the folder cannot be written.
        DiskFull: no room.
    """
    beside = public_beside(path)
    if os.path.lexists(path) or os.path.lexists(beside):
        raise HomeInvalid("There is a key already; it is never written over.", where=str(path))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(beside, public, mode=0o644)
    except OSError as error:
        raise not_written(error, path, "The key cannot be written") from None
    try:
        VaultFile(path, wrapper).create(country, [entry])
    except BaseException:
        with suppress(OSError):
            beside.unlink()  # else the next attempt would find a key that there is not
        raise
