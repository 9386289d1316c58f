# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealed parts as values: where they stand in a body, and the one place that each is bound to (PROTOCOL 16).

A part is recognised by its form alone, an object of exactly ``kid`` and ``jwe``: no other object of the language has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core import canonical
from broker.core.ids import Digest, MessageType, ProcedureId, SchemaVersion
from broker.core.messages import Header, Party

__all__ = ["PartPlace", "has_sealed_part", "is_sealed_part", "put", "rest_digest", "sealed_parts", "value_at"]

_FORM = {"kid", "jwe"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlace:
    """Where a sealed part belongs: in one place of one text, from one office to one office, and nowhere else."""

    sender: Party
    recipient: Party
    type: MessageType
    version: SchemaVersion
    procedure: ProcedureId | None  # None: the message opens its procedure
    exercise: bool
    rest: Digest  # of the body with null in the place of every sealed part
    place: str  # JSON pointer from the body

    @classmethod
    def of(cls, header: Header, *, opens: bool, rest: Digest, place: str) -> PartPlace:
        """Return where a part belongs that stands in a message of that header."""
        return cls(
            sender=header.sender,
            recipient=header.recipient,
            type=header.type,
            version=header.version,
            procedure=None if opens else header.procedure_id,
            exercise=header.exercise,
            rest=rest,
            place=place,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the profile header's form (PROTOCOL 16.3)."""
        return {
            "exercise": self.exercise,
            "from": self.sender.to_json(),
            "place": self.place,
            **({} if self.procedure is None else {"procedure": str(self.procedure)}),
            "rest": str(self.rest),
            "to": self.recipient.to_json(),
            "type": str(self.type),
            "v": 1,
            "version": str(self.version),
        }


def sealed_parts(body: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each sealed part of a body with its place."""
    yield from _found(body, "")


def has_sealed_part(body: Any, content: bytes | None = None) -> bool:
    """Whether there is one; asked of every message, so most are told without a walk.

    Args:
        body: the body.
        content: canonical bytes that hold it, where they are at hand.
    """
    may_have = canonical.may_have(body, "jwe") if content is None else b'"jwe":' in content
    return may_have and any(True for _ in sealed_parts(body))


def rest_digest(body: Any, places: Iterable[str]) -> Digest:
    """Return the digest of what stands around the sealed parts: it ties them to this text and to each other.

    Raises:
        NotCanonical: the body has no canonical form.
        ValueError: there is no such place.
    """
    rest = body
    for place in places:
        rest = put(rest, place, None)
    return canonical.digest(canonical.dump(rest))


def put(body: Any, place: str, value: Any) -> Any:
    """Return the body with another value in that place; the given one is not changed.

    Raises:
        ValueError: there is no such place.
    """
    return _put(body, [_unescaped(step) for step in place.split("/")[1:]], value)


def value_at(body: Any, place: str) -> Any:
    """Return what stands in that place.

    Raises:
        ValueError: there is no such place.
    """
    for step in place.split("/")[1:]:
        body = _child(body, _unescaped(step))
    return body


def is_sealed_part(node: Any) -> bool:
    """Whether something has the form of a sealed part."""
    return isinstance(node, Mapping) and node.keys() == _FORM


def _found(node: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if is_sealed_part(node):
        yield where, node
    elif isinstance(node, Mapping):
        for name, item in node.items():
            yield from _found(item, f"{where}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list):
        for position, item in enumerate(node):
            yield from _found(item, f"{where}/{position}")


def _put(node: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    changed = _put(_child(node, steps[0]), steps[1:], value)
    if isinstance(node, Mapping):
        return {**node, steps[0]: changed}
    return [changed if position == int(steps[0]) else item for position, item in enumerate(node)]


def _child(node: Any, step: str) -> Any:
    if isinstance(node, Mapping) and step in node:
        return node[step]
    if isinstance(node, list) and step.isascii() and step.isdecimal() and int(step) < len(node):
        return node[int(step)]
    raise ValueError("no such place")


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
