# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON: one value, one sequence of bytes (RFC 8785, restricted as ``schemas/PROTOCOL.md`` section 2 says).

- member names are ASCII; integers only, |n| ≤ 2^53−1; no fractions, no exponents; depth ≤ 24; no lone surrogates;
- whatever is not exactly what we would write ourselves is refused with the one code ``not-canonical``: other languages
  cannot tell 1.0 from 1 after parsing, so finer codes would not be portable.
"""

from __future__ import annotations

import binascii
import hashlib
from typing import Any

import orjson

from broker.core.errors import NotCanonical
from broker.core.ids import Digest

__all__ = ["MAX_DEPTH", "Json", "b64url_decode", "b64url_encode", "digest", "dump", "dump_known", "may_have", "parse"]

Json = (
    Any  # None | bool | int | str | list[Json] | dict[str, Json]; a recursive alias costs mypy more than it proves here
)

MAX_DEPTH = 24  # containers inside each other
_MAX_INTEGER = 2**53 - 1
# Who hashes 2 KiB or more at once gives the interpreter away meanwhile, and waits longer for it than hashing takes.
_AT_ONCE = 31 * 64  # bytes, whole blocks
_LONG = 64 * 1024  # bytes; from here on it pays to let others run
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def dump(value: Json) -> bytes:
    """Return the canonical bytes of a value made of dicts, lists, texts, integers, booleans and None.

    Raises:
        NotCanonical: the value has no canonical form (fraction, huge integer, non-ASCII name, lone surrogate, too deep).
    """
    _walk(value)
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError):
        raise NotCanonical from None


def dump_known(value: Json) -> bytes:
    """Return the canonical bytes of a value whose names and numbers are our own or were looked at before: not again.

    Raises:
        NotCanonical: a text holds half of a character.
    """
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError:
        raise NotCanonical from None


def may_have(value: Json, name: str) -> bool:
    """Whether an object somewhere in the value may have a member of that name: a no is sure, and quick to get."""
    try:
        return f'"{name}":'.encode("ascii") in orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True


def parse(raw: bytes) -> Json:
    """Return the value of canonical bytes.

    Raises:
        NotCanonical: the bytes are not canonical JSON, whatever the reason.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:  # it carries the whole document
        raise NotCanonical from None
    if dump(value) != raw:
        raise NotCanonical
    return value


def digest(raw: bytes) -> Digest:
    """Return SHA-256 of the bytes in hex: the name of a message for both countries."""
    if len(raw) > _LONG:
        return Digest.known(hashlib.sha256(raw).hexdigest())
    hashed = hashlib.sha256()
    for start in range(0, len(raw), _AT_ONCE):
        hashed.update(raw[start : start + _AT_ONCE])
    return Digest.known(hashed.hexdigest())


def b64url_encode(raw: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    text = binascii.b2a_base64(raw, newline=False).rstrip(b"=").decode("ascii")
    return text.replace("+", "-").replace("/", "_")  # of a long text, half the work of a translation table


def b64url_decode(text: object) -> bytes:
    """Return the bytes of base64url without padding; only the one canonical spelling is taken.

    Raises:
        ValueError: no text, other alphabet, padding, or bits left over that a second spelling could hide.
    """
    if not isinstance(text, str):
        raise ValueError("not base64url")
    if "+" in text or "/" in text or "=" in text:  # base64 has them, base64url does not
        raise ValueError("not base64url")
    spare = len(text) % 4
    try:
        standard = text.replace("-", "+").replace("_", "/") + "=" * (-spare % 4)
        raw = binascii.a2b_base64(standard, strict_mode=True)
    except ValueError:
        raise ValueError("not base64url") from None
    # Only a group cut short has bits left over: encode that group again and compare.
    if (
        spare and b64url_encode(raw[-(len(raw) % 3) :]) != text[-spare:]
    ):  # malleability: two spellings of the same bytes
        raise ValueError("not canonical base64url")
    return raw


def _walk(value: Json) -> None:
    """Refuse what orjson would write although the protocol forbids it; iterative, so depth cannot exhaust the stack.

    Nothing is called per member: every message's hundreds of members come by here on both sides.
    """
    level: list[Json] = [[value]]  # containers of one depth
    names: list[Json] = []
    for _ in range(MAX_DEPTH + 1):
        below: list[Json] = []
        for container in level:
            if type(container) is dict:
                names += container
                items = container.values()
            else:
                items = container
            for item in items:
                kind = type(item)
                if kind is str:
                    continue
                if kind is dict or kind is list or kind is tuple:
                    below.append(item)
                elif kind is int:
                    if not -_MAX_INTEGER <= item <= _MAX_INTEGER:
                        raise NotCanonical
                elif not (item is None or kind is bool or isinstance(item, str)):
                    raise NotCanonical
        if not below:
            return _ascii(names)
        level = below
    raise NotCanonical


def _ascii(names: list[Json]) -> None:
    try:
        plain = "".join(names).isascii()
    except TypeError:  # a name that is no text
        plain = False
    if not plain:
        raise NotCanonical
