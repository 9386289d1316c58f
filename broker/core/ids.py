# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Parsed identifiers. Holding one proves that its text was checked; each is still a `str` for storage and JSON."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar, Self

__all__ = [
    "ArrangementId", "AuthorityId", "CaseRef", "CountryCode", "Digest", "ErasureId", "KeyId", "MessageId", "MessageType",
    "ProcedureId", "SchemaVersion",
]  # fmt: skip

_UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


class _Id(str):
    """A text of one fixed pattern.

    Raises:
        ValueError: the text does not fit; the message names the kind of identifier, never the text.
    """

    __slots__ = ()
    pattern: ClassVar[re.Pattern[str]]

    def __new__(cls, text: str) -> Self:
        if not isinstance(text, str) or cls.pattern.fullmatch(text) is None:
            raise ValueError(f"not a {cls.__name__}")
        return str.__new__(cls, text)

    @classmethod
    def known(cls, text: str) -> Self:
        """Return the identifier of a text that was made by the pattern a moment ago: it is not looked at again."""
        return str.__new__(cls, text)


class CountryCode(_Id):
    """ISO 3166-1 alpha-2 (plus user-assigned XK); EL and UK exist only at the edge of the EU forms."""

    __slots__ = ()
    pattern = re.compile(r"(?!EL|UK)[A-Z]{2}", re.ASCII)


class AuthorityId(_Id):
    """An office within its country, e.g. ``social-insurance-board``; ``node`` is the node itself."""

    __slots__ = ()
    pattern = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class ArrangementId(_Id):
    """An arrangement between members, e.g. ``nordic-2026``; never used again for another one."""

    __slots__ = ()
    pattern = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class _TimedId(_Id):
    """UUIDv7 in lower case (RFC 9562)."""

    __slots__ = ()
    pattern = re.compile(_UUID7, re.ASCII)

    @property
    def made(self) -> float:
        """Unix seconds at which its node made it."""
        return int(self[:8] + self[9:13], 16) / 1000


class MessageId(_TimedId):
    """UUIDv7 of a message."""

    __slots__ = ()

    @classmethod
    def first_of(cls, at: datetime) -> MessageId:
        """Return the smallest id of that millisecond: ids made earlier are smaller as text, later ones greater."""
        made = f"{int(at.timestamp() * 1000):012x}"
        return cls(f"{made[:8]}-{made[8:]}-7000-8000-000000000000")


class ProcedureId(_TimedId):
    """UUIDv7 of one piece of cross-border work between two members."""

    __slots__ = ()


class ErasureId(_TimedId):
    """UUIDv7 of a proposal to erase a case."""

    __slots__ = ()


class CaseRef(_Id):
    """Pseudonymous reference of a case towards one other country; ``EX-`` marks an exercise."""

    __slots__ = ()
    pattern = re.compile(r"(?:EX-)?CR-[0-9A-HJKMNP-TV-Z]{20}", re.ASCII)

    @property
    def exercise(self) -> bool:
        """Whether the case is an exercise."""
        return self.startswith("EX-")


class KeyId(_Id):
    """RFC 7638 SHA-256 thumbprint, base64url."""

    __slots__ = ()
    pattern = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class Digest(_Id):
    """SHA-256 in lower-case hex."""

    __slots__ = ()
    pattern = re.compile(r"[0-9a-f]{64}", re.ASCII)


class MessageType(_Id):
    """``procedure.act``, lower case with hyphens."""

    __slots__ = ()
    pattern = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)

    @classmethod
    def is_of_nodes(cls, value: object) -> bool:
        """Whether this is a type of what nodes say to each other: held against no time, never answered (PROTOCOL 8)."""
        return isinstance(value, str) and value.startswith("node.") and cls.pattern.fullmatch(value) is not None

    @property
    def procedure(self) -> str:
        """The procedure's name."""
        return self.split(".", 1)[0]

    @property
    def act(self) -> str:
        """The act's name within the procedure."""
        return self.split(".", 1)[1]


class SchemaVersion(_Id):
    """``major.minor``."""

    __slots__ = ()
    pattern = re.compile(r"(?:0|[1-9][0-9]{0,3})\.(?:0|[1-9][0-9]{0,3})", re.ASCII)

    @property
    def key(self) -> tuple[int, int]:
        """For ordering versions by number."""
        major, minor = self.split(".")
        return int(major), int(minor)
