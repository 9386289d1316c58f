# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A passphrase that somebody chooses now: long enough, and asked for twice, for a mistyped one opens nothing any more.

What is under a shorter one already goes on opening with it; only a passphrase that is chosen is measured.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from broker.core.errors import BadRequest
from broker.vault.passphrase import checked, read_source

__all__ = ["LEAST_CHARACTERS", "new_passphrase"]

LEAST_CHARACTERS = 15  # NIST SP 800-63B-4, 3.1.1.2: of a password that is used alone
_PROMPT = "prompt"


def new_passphrase(of: str, source: str | None, *, where: str = "--passphrase-file") -> bytes:
    """Return the passphrase that something is put under from now on.

    Args:
        of: what that is, for whoever is asked.
        source: a file, ``fd:N``, ``credential:NAME`` or ``prompt``; None asks.
        where: the option that names the source.

    Raises:
        BadRequest: it is too short, the two that were typed differ, or nobody can be asked.
        VaultLocked, SettingsInvalid: the source gives none.
    """
    given = _asked(of, where) if source in {None, _PROMPT} else read_source(str(source), home=Path.cwd())
    characters = len(given.decode("utf-8", "replace"))
    if characters < LEAST_CHARACTERS:
        raise BadRequest(
            f"A passphrase has at least {LEAST_CHARACTERS} characters, and this one {characters}: whoever gets the file tries "
            "short ones one after the other. Some words that nobody would put together are easy to keep.",
            where=where,
        )
    return given


def _asked(of: str, where: str) -> bytes:
    if not sys.stdin.isatty():
        raise BadRequest("Nobody can be asked for a passphrase here; name a file.", where=where)
    first = getpass.getpass(f"New passphrase of {of}: ")
    if first != getpass.getpass("Once more: "):
        raise BadRequest("The two passphrases differ.", where="passphrase")
    return checked(first.encode("utf-8"))
