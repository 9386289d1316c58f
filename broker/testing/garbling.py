# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Contents that no program of ours would write: true ones of which single values are dropped, exchanged or made absurd."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["Garbler"]

_DEEP = 12  # below here nothing is changed
_ABSURD: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 2**53 - 1, 2**53, 1.5, "", " ", "x" * 70_000, "\x00", "\u202e", "0" * 64, "-", "../..",
    "2026-02-30", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "node", "EE", "XX", [], {}, [[]], {"": ""},
)  # fmt: skip
_SPOILT = ("", "0", "Z", "é", "\n", "-")
_NAMES = ("x", "id", "about", "unknown", "withheld", "not_applicable")
_IN_BODY = 0.85  # of the changes: a header is refused early


class Garbler:
    """Changes JSON objects."""

    def __init__(self, rng: random.Random) -> None:
        """Args:
        rng: what it chooses by.
        """
        self._random = rng
        self._ways: Sequence[Callable[[Any, Any, Any, Sequence[Any]], None]] = (
            self._drop, self._absurd, self._foreign, self._foreign, self._spell, self._count, self._repeat, self._add,
        )  # fmt: skip

    def garbled(self, content: Any, others: Sequence[Any]) -> Any:
        """Return the content with one to six changes, for which the others lend their values."""
        made = copy.deepcopy(content)
        for _ in range(self._random.choice((1, 1, 1, 2, 3, 6))):
            every = list(_places(made))
            inner = [place for place in every if place[0] == "body" and len(place) > 1]
            places = inner if inner and self._random.random() < _IN_BODY else every
            if places:
                *above, step = self._random.choice(places)
                self._random.choice(self._ways)(_at(made, above), step, made, others)
        return made

    def _drop(self, holder: Any, step: Any, *_: Any) -> None:
        del holder[step]

    def _absurd(self, holder: Any, step: Any, *_: Any) -> None:
        holder[step] = copy.deepcopy(self._random.choice(_ABSURD))

    def _foreign(self, holder: Any, step: Any, _: Any, others: Sequence[Any]) -> None:
        """Take what stands under that name elsewhere."""
        other = self._random.choice(others)
        places = list(_places(other))
        alike = [place for place in places if place[-1] == step]
        holder[step] = copy.deepcopy(_at(other, self._random.choice(alike or places)))

    def _spell(self, holder: Any, step: Any, *_: Any) -> None:
        value = holder[step]
        if isinstance(value, str) and value:
            at = self._random.randrange(len(value))
            holder[step] = value[:at] + self._random.choice((*_SPOILT, 2 * value[at])) + value[at + 1 :]

    def _count(self, holder: Any, step: Any, *_: Any) -> None:
        if type(holder[step]) is int:
            holder[step] += self._random.choice((-1000, -1, 1, 1000, 2**32))

    def _repeat(self, holder: Any, step: Any, *_: Any) -> None:
        value = holder[step]
        if isinstance(value, list) and value:
            value.insert(self._random.randrange(len(value) + 1), copy.deepcopy(self._random.choice(value)))
        elif isinstance(holder, list):
            self._random.shuffle(holder)

    def _add(self, holder: Any, step: Any, made: Any, _: Any) -> None:
        if isinstance(holder[step], dict):
            holder[step][self._random.choice(_NAMES)] = copy.deepcopy(self._random.choice(_ABSURD))
        else:
            holder[step] = copy.deepcopy(_at(made, self._random.choice(list(_places(made)))))


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside of another one."""
    steps = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for step in steps if len(above) < _DEEP else ():
        yield (*above, step)
        yield from _places(value[step], (*above, step))


def _at(value: Any, way: Sequence[Any]) -> Any:
    for step in way:
        value = value[step]
    return value
