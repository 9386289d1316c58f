# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which characters a name or a line of text may hold: the same on every node, whatever Unicode its Python knows.

- Two nodes must never judge one message or one trust document differently. Hence the refused code points are a list of
  their own (PROTOCOL, section 2.5), and no general category is asked for: one that this Unicode does not assign is taken.
- Composition and case are asked of code points alone that Unicode 3.2 assigned: what holds of those, no later version changes
  (Unicode's stability policies for normalisation and for case folding). Every Python has the tables of 3.2 beside its own.
"""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import groupby

__all__ = ["is_composed", "is_hidden", "is_line", "spelled_out", "without_case"]

_Ranges = tuple[tuple[int, int], ...]
_STEERING: _Ranges = (  # controls, format characters and the ranges kept for such, line separators, surrogates
    (0x0000, 0x001F), (0x007F, 0x009F), (0x00AD, 0x00AD), (0x0600, 0x0605), (0x061C, 0x061C), (0x06DD, 0x06DD),
    (0x070F, 0x070F), (0x0890, 0x0891), (0x08E2, 0x08E2), (0x180E, 0x180E), (0x200B, 0x200F), (0x2028, 0x202E),
    (0x2060, 0x206F), (0xD800, 0xDFFF), (0xFEFF, 0xFEFF), (0xFFF0, 0xFFFB), (0x110BD, 0x110BD), (0x110CD, 0x110CD),
    (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE00FF), (0xE01F0, 0xE0FFF),
)  # fmt: skip
_SPACES: _Ranges = (  # but the plain one
    (0x00A0, 0x00A0), (0x1680, 0x1680), (0x2000, 0x200A), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000),
)  # fmt: skip
_NOBODYS: _Ranges = (  # for private use, and noncharacters
    (0xE000, 0xF8FF), (0xFDD0, 0xFDEF), (0xFFFE, 0xFFFF), (0xF0000, 0x10FFFF),
    *((plane + 0xFFFE, plane + 0xFFFF) for plane in range(0x10000, 0xF0000, 0x10000)),
)  # fmt: skip


def _any_of(*ranges: _Ranges) -> re.Pattern[str]:
    return re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for one in ranges for first, last in one) + "]")


_STEERS = _any_of(_STEERING)
_HIDDEN = _any_of(_STEERING, _SPACES, _NOBODYS)
_EARLY = unicodedata.ucd_3_2_0


def is_hidden(text: str) -> bool:
    """Whether the text holds a control, format, direction, separator or private character, or a surrogate or noncharacter."""
    return _HIDDEN.search(text) is not None


def spelled_out(text: str, *, keep: str = "") -> str:
    """Return the text with every character that could turn or hide others spelled out as JSON does it.

    Done to a JSON document it changes no value in it; done to a text it shows a person what stands there.

    Args:
        text: a document, or what a person reads.
        keep: such characters that stay.
    """
    return _STEERS.sub(lambda found: found[0] if found[0] in keep else json.dumps(found[0])[1:-1], text)


def is_line(text: str) -> bool:
    """Whether the text is one line that shows all that it holds, and not blank."""
    return bool(text.strip(" ")) and not is_hidden(text)


def is_composed(text: str) -> bool:
    """Whether each part of the text that Unicode 3.2 assigns is in NFC."""
    if unicodedata.is_normalized("NFC", text):
        return True
    return all(unicodedata.is_normalized("NFC", "".join(part)) for early, part in groupby(text, _is_early) if early)


def without_case(text: str) -> str:
    """Return what two texts have in common that differ only in the case of letters that Unicode 3.2 assigns."""
    return "".join(letter.casefold() if _is_early(letter) else letter for letter in text)


def _is_early(letter: str) -> bool:
    return _EARLY.category(letter) != "Cn"
