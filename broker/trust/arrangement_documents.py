# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""``arrangements.json``: which members may exchange which procedures, under which agreement, from when to when.

The federation's officers sign it. One spelling: arrangements stand in the order of their ids, members and procedures in that
of the alphabet, and nothing is null.
"""

from __future__ import annotations

import re
from typing import Any

from broker.core.arrangements import Arrangement, ArrangementRegister, ArrangementStatus
from broker.core.errors import TrustListInvalid
from broker.core.ids import ArrangementId, CountryCode
from broker.trust.lines import day, line, text
from broker.trust.strict import Fields, each, exactly, placed, read_json, write_json

__all__ = [
    "FORMAT",
    "MAX_BYTES",
    "arrangement_data",
    "parse_arrangement",
    "parse_arrangements",
    "read_arrangements",
    "write_arrangements",
]

FORMAT = "trm-arrangements/1"
MAX_BYTES = 1024 * 1024  # of the document
_PROCEDURE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)


def read_arrangements(raw: bytes, *, where: str = "arrangements.json") -> ArrangementRegister:
    """Return the value of the document's bytes.

    Raises:
        TrustListInvalid: it is too large or does not have its one form; ``where`` names file and place.
    """
    if len(raw) > MAX_BYTES:
        raise TrustListInvalid("The document is too large to be a register of arrangements.", where=where)
    return placed(f"{where}: ", parse_arrangements, read_json(raw, where=where))


def write_arrangements(register: ArrangementRegister) -> bytes:
    """Return the document's bytes; `read_arrangements` gives the same value back."""
    ordered = sorted(register.arrangements, key=lambda item: item.id)
    return write_json({"format": FORMAT, "arrangements": [arrangement_data(item) for item in ordered]})


def parse_arrangements(data: Any) -> ArrangementRegister:
    """Return the value of the document's JSON value.

    Raises:
        TrustListInvalid: something is missing, unknown or not of its form; ``where`` points at it.
    """
    fields = Fields(data)
    fields.take("format", exactly(FORMAT))
    arrangements = fields.take("arrangements", lambda value: each(value, parse_arrangement))
    fields.finish()
    ids = [item.id for item in arrangements]
    if ids != sorted(set(ids)):
        raise TrustListInvalid("Arrangements stand in the order of their ids, each id once.", where="/arrangements")
    return ArrangementRegister(arrangements=arrangements)


def parse_arrangement(data: Any) -> Arrangement:
    """Return one arrangement of its JSON value.

    Raises:
        TrustListInvalid: something is missing, unknown or not of its form; ``where`` points at it.
    """
    fields = Fields(data)
    identifier, title = fields.take("id", ArrangementId), fields.take("title", line)
    agreement, source = fields.take("agreement", line), fields.take("source", line)
    members, procedures = fields.take("members", _members), fields.take("procedures", _procedures)
    first, last = fields.take("first_day", day), fields.take_or("last_day", day, None)
    status = fields.take("status", ArrangementStatus)
    conditions: tuple[str, ...] = ()
    conditions = fields.take_or("conditions", _conditions, conditions)
    fields.finish()
    if last is not None and last < first:
        raise TrustListInvalid("The arrangement ends before it begins.", where="/last_day")
    return Arrangement(
        id=identifier, title=title, agreement=agreement, source=source, members=members, procedures=procedures,
        first_day=first, last_day=last, status=status, conditions=conditions,
    )  # fmt: skip


def _members(value: Any) -> frozenset[CountryCode]:
    given = each(value, CountryCode)
    if len(given) < 2 or list(given) != sorted(set(given)):
        raise TrustListInvalid("At least two members, in the order of the alphabet, each once.")
    return frozenset(given)


def _procedures(value: Any) -> frozenset[str]:
    given = each(value, _procedure)
    if not given or list(given) != sorted(set(given)):
        raise TrustListInvalid("At least one procedure, in the order of the alphabet, each once.")
    return frozenset(given)


def _procedure(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 64 or _PROCEDURE.fullmatch(value) is None:
        raise ValueError("not the name of a procedure")
    return value


def _conditions(value: Any) -> tuple[str, ...]:
    given = each(value, text)
    if not given:
        raise TrustListInvalid("Without conditions the member is left out.")
    return given


def arrangement_data(item: Arrangement) -> dict[str, Any]:
    """Return one arrangement's JSON value."""
    data: dict[str, Any] = {
        "id": str(item.id),
        "title": item.title,
        "agreement": item.agreement,
        "source": item.source,
        "members": sorted(map(str, item.members)),
        "procedures": sorted(item.procedures),
        "first_day": item.first_day.isoformat(),
        "status": item.status.value,
    }
    if item.last_day is not None:
        data["last_day"] = item.last_day.isoformat()
    if item.conditions:
        data["conditions"] = list(item.conditions)
    return data
