# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What stands where in a trust repository, who signs it, and for how long (PROTOCOL: trust list)."""

from __future__ import annotations

from datetime import timedelta

from broker.core.ids import CountryCode

__all__ = [
    "ARRANGEMENTS", "CATALOGUE", "CATALOGUE_FILE", "FEDERATION", "LIFETIMES", "MAX_DOCUMENT", "MAX_METADATA", "MAX_VERSION",
    "ONLINE_ROLES", "ROOT", "SNAPSHOT", "TARGETS", "TIMESTAMP", "lifetime", "member_path", "member_paths", "owner_of", "profile_path",
]  # fmt: skip

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
ONLINE_ROLES = (SNAPSHOT, TIMESTAMP)

FEDERATION = "federation.json"
ARRANGEMENTS = "arrangements.json"
CATALOGUE = "catalogue.json"
CATALOGUE_FILE = f"targets/{CATALOGUE}"  # what a node keeps of its last look holds it under this name

LIFETIMES = {
    ROOT: timedelta(days=400),
    TARGETS: timedelta(days=180),
    SNAPSHOT: timedelta(days=30),
    TIMESTAMP: timedelta(days=30),
}
_MEMBER_LIFETIME = timedelta(days=400)

MAX_VERSION = 2**53 - 1  # of a list: what canonical JSON can write; a node keeps the versions that it has seen
MAX_METADATA = 2 * 1024 * 1024  # bytes of one signed list; a federation of fifty fits in an eighth of it
MAX_DOCUMENT = 8 * 1024 * 1024  # bytes of one document; the catalogue is the largest


def lifetime(role: str) -> timedelta:
    """Return how long a role's signatures hold."""
    return LIFETIMES.get(role, _MEMBER_LIFETIME)


def member_path(country: CountryCode) -> str:
    """Return where a member's keys and offices stand."""
    return f"members/{country}.json"


def profile_path(country: CountryCode) -> str:
    """Return where a member's country profile stands."""
    return f"members/{country}/profile.json"


def member_paths(country: CountryCode) -> tuple[str, str]:
    """Return everything that is a member's own to sign."""
    return member_path(country), profile_path(country)


def owner_of(path: str) -> str:
    """Return the role that signs a document.

    Raises:
        ValueError: there is no document of that path.
    """
    if path in {FEDERATION, ARRANGEMENTS, CATALOGUE}:
        return TARGETS
    country = CountryCode(path.removeprefix("members/")[:2])
    if path not in member_paths(country):
        raise ValueError("no document of the trust list")
    return str(country)
