# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a signed JSON document strictly: nothing missing, nothing unknown, no name twice; every error has its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from broker.core.errors import TrustListInvalid
from broker.core.trust import TrustRule

__all__ = [
    "MAX_ITEMS",
    "Fields",
    "each",
    "exactly",
    "mapping",
    "placed",
    "read_json",
    "time",
    "time_text",
    "write_json",
]

T = TypeVar("T")
K = TypeVar("K", bound=str)

MAX_ITEMS = 256  # of each list or table in a document
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z", re.ASCII)
_UP_TO_ZONE = len("2026-11-22T03:00:00")


class Fields:
    """Takes members out of an object one by one, so that what is left over is unknown."""

    def __init__(self, data: Any) -> None:
        """Raises:
        TrustListInvalid: it is no object.
        """
        if not isinstance(data, Mapping):
            raise TrustListInvalid("This must be an object.", where="/")
        self._left = dict(data)

    def take(self, name: str, parse: Callable[[Any], T]) -> T:
        """Return the parsed member of that name, which must be there.

        Raises:
            TrustListInvalid: it is missing or does not have its form.
        """
        if name not in self._left:
            raise TrustListInvalid("A required member is missing.", where=f"/{name}")
        return placed(f"/{name}", parse, self._left.pop(name))

    def take_or(self, name: str, parse: Callable[[Any], T], default: T) -> T:
        """Return the parsed member of that name, or the default where it is missing.

        Raises:
            TrustListInvalid: it does not have its form.
        """
        return self.take(name, parse) if name in self._left else default

    def finish(self) -> None:
        """Refuse what nobody took.

        Raises:
            TrustListInvalid: there is an unknown member.
        """
        for name in self._left:
            raise TrustListInvalid("An unknown member.", where=f"/{name if name.isidentifier() else '?'}")


def placed(where: str, parse: Callable[[Any], T], value: Any) -> T:
    """Return the parsed value; an error gets its place put in front.

    Raises:
        TrustListInvalid: the value does not have its form.
    """
    try:
        return parse(value)
    except TrustListInvalid as error:
        raise TrustListInvalid(error.detail, where=f"{where}{error.where or ''}", rule=error.rule) from None
    except (ValueError, TypeError):
        raise TrustListInvalid("The member does not have its form.", where=where) from None


def exactly(wanted: str) -> Callable[[Any], str]:
    """Return what takes that one text and no other, such as the name of a document's format."""

    def parse(value: Any) -> str:
        if value != wanted:
            raise ValueError("another text")
        return wanted

    return parse


def each(value: Any, parse: Callable[[Any], T]) -> tuple[T, ...]:
    """Return the parsed items of a list.

    Raises:
        ValueError, TrustListInvalid: it is no list of at most so many items, or an item does not have its form.
    """
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise ValueError("not a list of at most so many items")
    return tuple(placed(f"/{index}", parse, item) for index, item in enumerate(value))


def mapping(value: Any, name: Callable[[str], K], parse: Callable[[Any], T], *, most: int = MAX_ITEMS) -> dict[K, T]:
    """Return an object's parsed members under their parsed names.

    Raises:
        ValueError, TrustListInvalid: it is no object of at most so many members, or one does not have its form.
    """
    if not isinstance(value, Mapping) or len(value) > most:
        raise ValueError("not an object of at most so many members")
    names = {text: placed("", name, text) for text in value}
    return {parsed: placed(f"/{parsed}", parse, value[text]) for text, parsed in names.items()}


def time(value: Any) -> datetime:
    """Return the moment of a text like ``2026-11-22T03:00:00Z``.

    Raises:
        ValueError: it is not the one spelling of a time.
    """
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise ValueError("not the one spelling of a time")
    return datetime.fromisoformat(value)


def time_text(moment: datetime) -> str:
    """Return the one spelling of a moment, to the second."""
    # Not by strftime: whether it writes the year 999 with four digits depends on the machine.
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:_UP_TO_ZONE] + "Z"


def read_json(raw: bytes, *, where: str) -> Any:
    """Return the value of a document's bytes.

    Raises:
        TrustListInvalid: it is not JSON in UTF-8, or an object in it has a name twice: two readers would believe two things.
    """
    try:  # Left to itself json guesses UTF-16 and UTF-32, and takes halves of surrogates and NaN: no other reader does.
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise TrustListInvalid(
            "The document is not JSON in UTF-8, or an object in it has a name twice.",
            where=where,
            rule=TrustRule.MALFORMED,
        ) from None


def write_json(data: Any) -> bytes:
    """Return a document's bytes, for people and machines alike."""
    return json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True).encode("utf-8") + b"\n"


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a name twice")
    return data
