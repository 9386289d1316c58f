# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a document that people write by hand: where it does not have its form, every place is told, not the first alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol, TypeVar

from broker.cli.input import read_bytes
from broker.core.errors import TrustListInvalid
from broker.schema_files import read_schema_file

__all__ = ["read_written"]

T_co = TypeVar("T_co", covariant=True)

_TOLD = 20  # places


class Reading(Protocol[T_co]):
    """Reads a document strictly, and says where it was read from when it refuses it."""

    def __call__(self, raw: bytes, *, where: str) -> T_co: ...


def read_written(file: Path, read: Reading[T_co], schema: str, *, most: int) -> T_co:
    """Return what the strict reader gives.

    Args:
        file: the document.
        read: the reader, which decides.
        schema: path below ``schemas/`` of the document's schema, which finds further places.
        most: bytes that it may have.

    Raises:
        BadRequest, RequestTooLarge: the file cannot be read.
        TrustListInvalid: the document does not have its form; the sentence names every place that a schema finds.
    """
    raw = read_bytes(file, most=most)
    try:
        return read(raw, where=str(file))
    except TrustListInvalid as error:
        places = _places(raw, schema)
        if not places:
            raise
        more = f", and {len(places) - _TOLD} more" if len(places) > _TOLD else ""
        detail = f"{error.detail} Places that do not have their form: {', '.join(places[:_TOLD])}{more}."
        raise TrustListInvalid(detail, where=error.where, rule=error.rule) from None


def _places(raw: bytes, schema: str) -> list[str]:
    """Return each wrong place with the word of the rule that it breaks; nothing of what stands there."""
    from jsonschema import Draft202012Validator

    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return []
    validator = Draft202012Validator(json.loads(read_schema_file(schema)))
    found = {
        "/" + "/".join(map(str, error.absolute_path)): str(error.validator) for error in validator.iter_errors(data)
    }
    return [f"{place} ({word})" for place, word in sorted(found.items())]
