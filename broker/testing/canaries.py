# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Invented names to plant in every text of a message, and a search that finds them however carelessly they are written."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import cycle
from typing import Any
from urllib.parse import quote

__all__ = ["CANARIES", "found", "found_deep", "layers", "plant_everywhere", "texts"]

# One invented name in many scripts: an escape or another encoding of any of them must be found too.
CANARIES = (
    "Test-Kanaarilindõžü", "Тест-Канарейченко", "Τεστ-Καναρινάκης", "اختبار-كناريوس", "ტესტი-იადონაშვილი",
    "בדיקה-קנריתוביץ", "测试金丝雀氏", "परीक्षण-कैनरीवाला", "テストカナリア山", "시험카나리아김", "Թեստ-Դեղձանիկյան",
    "ทดสอบนกคีรีบูน",
)  # fmt: skip
_SHORTEST = 5  # bytes of a spelling: shorter ones are met by chance
_ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{32,}")


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield every place of a text in a JSON value."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, Mapping | list):
        for name, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from texts(item, (*path, name))


def plant_everywhere(value: Any) -> tuple[Any, int]:
    """Return a copy of a JSON value with a canary in the place of every text, and how many places those are."""
    planted, names, count = json.loads(json.dumps(value)), cycle(CANARIES), 0
    for path in list(texts(planted)):
        holder = planted
        for name in path[:-1]:
            holder = holder[name]
        holder[path[-1]] = next(names)
        count += 1
    return planted, count


def found(content: bytes) -> set[str]:
    """Return the names that stand in the bytes in any spelling."""
    return {name for name in CANARIES if any(spelling in content for spelling in _needles(name))}


def found_deep(content: bytes) -> set[str]:
    """Return the names that stand in the bytes, or in any base64 within them, however often it was applied."""
    return found(b"\n".join(layers(content)))


def layers(content: bytes) -> Iterator[bytes]:
    """Yield the bytes, and whatever base64 in them stands for, layer by layer: an envelope holds several."""
    yield content
    for run in _ENCODED.findall(content):
        whole = run[: len(run) - (len(run) % 4 == 1)].translate(bytes.maketrans(b"-_", b"+/"))
        yield from layers(base64.b64decode(whole + b"=" * (-len(whole) % 4)))


@cache
def _needles(name: str) -> frozenset[bytes]:
    return frozenset(spelling for spelling in _spellings(name) if len(spelling) > _SHORTEST)


def _spellings(name: str) -> Iterator[bytes]:
    """Yield each way in which a careless program could write the name."""
    for text in {name, unicodedata.normalize("NFD", name), name.upper(), name.lower()}:
        utf8 = text.encode()
        yield utf8
        yield json.dumps(text)[1:-1].encode()
        yield json.dumps(text)[1:-1].upper().replace("\\U", "\\u").encode()
        yield quote(text).encode()
        yield quote(text).lower().encode()
        yield text.encode("utf-16-le")
        yield text.encode("utf-16-be")
        yield text.encode("ascii", "xmlcharrefreplace")
        yield text.encode("ascii", "backslashreplace")
        yield repr(utf8)[2:-1].encode()
        yield utf8.hex().encode()
        yield utf8.decode("latin-1").encode()  # read in the wrong encoding
        for shift in range(3):  # base64 within a longer text: what does not depend on its neighbours
            encoded = base64.b64encode(b"\0" * shift + utf8)
            middle = encoded[4 if shift else 0 : -4]
            yield middle
            yield middle.translate(bytes.maketrans(b"+/", b"-_"))
