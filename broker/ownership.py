# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whose folder a home is: what one account writes into another's, that account's node cannot read."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from broker.core.errors import HomeInvalid

__all__ = ["check_owner"]


def check_owner(folder: Path) -> None:
    """Refuse to work on what lies in another account's folder: what root writes there, that account's node cannot read.

    Raises:
        HomeInvalid: it is another account's, and either root asks or this account may not use it.
        OSError: the folder cannot be looked at.
    """
    owner, us = folder.stat().st_uid, os.geteuid()
    if owner == us or (us != 0 and os.access(folder, os.R_OK | os.W_OK | os.X_OK)):
        return
    theirs, ours = _account(owner), _account(us)
    to_do = f"run it as {theirs}" if us == 0 else f"give all in it to {ours} (chown -R), or run it as {theirs}"
    raise HomeInvalid(
        f"This folder belongs to the account {theirs}, and {ours} runs this command: {to_do}.", where=str(folder)
    )


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
