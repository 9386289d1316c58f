# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies that nobody thought of and every schema check lets pass: a random walk from examples, by the schema's own words."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from broker.catalogue.compiled import validator_of
from broker.testing.schema_walk import Schema, members, parts_of, places

__all__ = ["AnyBodies", "texts_in"]

_DAY = date(2026, 11, 22)  # of the simulated countries
_DAYS = ("1900-01-01", "2008-11-22", "2008-11-23", "2024-02-29", "2026-11-21", "2026-11-22", "2026-11-23", "2199-12-31")
_WORDS = ("Näidis", "Test-Nadja", "Ω", "مثال", "0")
_TRIES = 6  # of one step
_DEEP = 4  # below here optional members are few: bodies must end


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from texts_in(item)


class AnyBodies:
    """Makes bodies of one schema."""

    def __init__(self, schema: Schema, texts: Iterable[str], rng: random.Random) -> None:
        """Args:
        schema: self-contained, as the catalogue gives it with ``$defs``.
        texts: to choose from where a pattern says what one looks like.
        rng: what it chooses by.
        """
        self._schema = schema
        self._validator = validator_of(schema)
        self._texts = sorted(set(texts))
        self._random = rng

    def near(self, body: Mapping[str, Any], steps: int) -> dict[str, Any]:
        """Return a valid body at most so many changes away from a valid one."""
        good: Any = copy.deepcopy(dict(body))
        for _ in range(steps):
            for _ in range(_TRIES):
                changed = self._changed(copy.deepcopy(good))
                if self._validator.is_valid(changed):
                    good = changed
                    break
        return dict(good)

    def _changed(self, body: Any) -> Any:
        """Take a member or item out, put one in, or say something else, at any place."""
        walked = places(self._schema, [self._schema], body, alternatives=True)
        path, parts, value = self._random.choice(list(walked))
        names = members(parts)
        kind = self._random.random()
        if isinstance(value, dict) and kind < 0.2 and value:
            del value[self._random.choice(sorted(value))]
        elif isinstance(value, dict) and kind < 0.55 and (new := sorted(names.keys() - value.keys())):
            name = self._random.choice(new)
            value[name] = self._any(names[name])
        elif isinstance(value, list) and kind < 0.2 and value:
            del value[self._random.randrange(len(value))]
        elif isinstance(value, list) and kind < 0.4 and value:
            value.append(copy.deepcopy(self._random.choice(value)))
        elif path:
            *above, last = path
            inner = body
            for step in above:
                inner = inner[step]
            inner[last] = self._of(parts)
        return body

    def _any(self, schemas: Sequence[Schema], depth: int = 0) -> Any:
        return self._of(parts_of(self._schema, schemas, alternatives=True), depth)

    def _of(self, parts: Sequence[Schema], depth: int = 0) -> Any:
        """Return something of that form, mostly: the validator has the last word."""
        for part in parts:
            if "const" in part:
                return part["const"]
            if "enum" in part:
                return self._random.choice(part["enum"])
        kind = next((part["type"] for part in parts if "type" in part), "object")
        if kind == "array":
            return self._list(parts, depth)
        if kind == "string":
            return self._text(parts)
        if kind == "integer":
            low = max(part["minimum"] for part in parts if "minimum" in part)
            high = min(part["maximum"] for part in parts if "maximum" in part)
            return self._random.choice((low, high, self._random.randint(low, high)))
        return self._object(parts, depth) if kind == "object" else self._random.random() < 0.5

    def _object(self, parts: Sequence[Schema], depth: int) -> dict[str, Any]:
        known = members(parts)
        if any(part.get("maxProperties") == 1 for part in parts):  # a fact: known, or why not
            chosen = [
                "value" if "value" in known and self._random.random() < 0.6 else self._random.choice(sorted(known))
            ]
        else:
            needed = {name for part in parts for name in part.get("required", ())}
            often = 0.5 if depth < _DEEP else 0.1
            chosen = [name for name in known if name in needed or self._random.random() < often]
        return {name: self._any(known[name], depth + 1) for name in chosen}

    def _list(self, parts: Sequence[Schema], depth: int) -> list[Any]:
        items = [part["items"] for part in parts if "items" in part]
        least = max(part.get("minItems", 0) for part in parts)
        most = min(part.get("maxItems", least + 2) for part in parts)
        count = self._random.randint(least, max(least, min(most, least + 2)))
        return [self._any(items, depth + 1) for _ in range(count)]

    def _text(self, parts: Sequence[Schema]) -> str:
        if any(part.get("format") == "date" for part in parts):
            near = str(_DAY + timedelta(days=self._random.randint(-400, 400)))
            return self._random.choice((*_DAYS, near, near))
        longest = min((part["maxLength"] for part in parts if "maxLength" in part), default=80)
        patterns = [part["pattern"] for part in parts if "pattern" in part]
        if patterns:
            fitting = [text for text in self._texts if all(re.match(pattern, text) for pattern in patterns)]
            return self._random.choice(fitting) if fitting else ""
        return self._random.choice((*(word[:longest] for word in _WORDS), "x" * longest))
