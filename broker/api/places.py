# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which names may stand in a JSON pointer that this node writes: those of its own schemas (promise P5).

An unknown member's name is the caller's text: somebody's name may have been put there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from broker.catalogue import Catalogue

__all__ = ["UNKNOWN", "Places"]

UNKNOWN = "?"


class Places:
    """Cuts the unknown names out of pointers."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """Return the places that the catalogue's schemas know."""
        return cls(frozenset(name for schema in catalogue.documents() for name in _names(schema)))

    def known(self, where: str) -> str:
        """Return the pointer with every name that is not ours replaced."""
        head, *segments = where.split("/")
        kept = (part if part in self._names or part.isdecimal() or not part else UNKNOWN for part in segments)
        return "/".join([head, *kept])


def _names(schema: Any) -> Iterator[str]:
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            properties = item.get("properties")
            if isinstance(properties, dict):
                yield from properties
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
