# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses of databases that are SQLite files."""

from __future__ import annotations

from pathlib import Path

__all__ = ["sqlite_url", "store_in"]

_SQLITE = "sqlite:///"


def store_in(folder: Path, url: str) -> str:
    """Return a database's address whose SQLite file, where its path is a relative one, lies in that folder.

    In whatever folder a command is called, it would be another file otherwise: an empty one, that takes what no node sends.
    """
    path = url.removeprefix(_SQLITE)
    relative = path not in {url, "", ":memory:"} and not path.startswith("/")
    return f"{sqlite_url(folder)}/{path}" if relative else url


def sqlite_url(path: Path) -> str:
    """Return the address of an SQLite file; what an address would read otherwise in the path is escaped."""
    return _SQLITE + str(path).replace("%", "%25").replace("?", "%3F")
