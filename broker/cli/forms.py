# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a document that people write by hand: where it does not have its form, every place is told, not the first alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from broker.core.errors import TrustListInvalid
from broker.schema_files import read_schema_file

__all__ = ["read_written"]

T = TypeVar("T")

_TOLD = 20  # places


def read_written(raw: bytes, read: Callable[[bytes], T], schema: str) -> T:
    """Return what the strict reader gives.

    Args:
        raw: the document.
        read: the reader, which decides.
        schema: path below ``schemas/`` of the document's schema, which finds further places.

    Raises:
        TrustListInvalid: the document does not have its form; the sentence names every place that a schema finds.
    """
    try:
        return read(raw)
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
