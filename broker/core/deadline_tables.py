# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a deadline of a procedure table from its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.core.deadlines import Deadline, DeadlineKind, Extension, Limit, Moment, Unit
from broker.core.errors import CatalogueInvalid
from broker.core.roles import Role

__all__ = ["parse_deadline"]

_REQUIRED = {"id", "title", "from_event", "until", "limit", "kind", "source", "silence"}
_KNOWN = _REQUIRED | {"at", "basis", "before", "by", "ends_on_date", "extension", "replaced_by", "urgency", "verified"}
_URGENCIES = {"IMMEDIATE", "URGENT", "PRIORITY", "ROUTINE"}
_LONGEST = 3660  # of any unit


def parse_deadline(data: Any, where: str) -> Deadline:
    """Return the checked deadline of a JSON object at that place of a table.

    Raises:
        CatalogueInvalid: a member is missing, unknown or not of its form; ``where`` points at it.
    """
    if not isinstance(data, Mapping):
        raise CatalogueInvalid("This must be an object.", where=where)
    for name in sorted(_REQUIRED - data.keys()):
        raise CatalogueInvalid("A required member is missing.", where=f"{where}/{name}")
    for name in sorted(data.keys() - _KNOWN):
        raise CatalogueInvalid("An unknown member.", where=f"{where}/{name}")
    act, moment = _from_event(data["from_event"], f"{where}/from_event")
    stated_at = data.get("at")
    if (moment is Moment.STATED) is not (isinstance(stated_at, str) and stated_at.startswith("/")):
        raise CatalogueInvalid("A pointer into the body stands with `stated` and only there.", where=f"{where}/at")
    try:
        by, kind = Role(data.get("by", Role.REQUESTED)), DeadlineKind(data["kind"])
    except ValueError:
        raise CatalogueInvalid("The side or the kind is none that a deadline has.", where=where) from None
    return Deadline(
        id=_text(data["id"], f"{where}/id"),
        title=_text(data["title"], f"{where}/title"),
        act=act,
        moment=moment,
        stated_at=stated_at,
        by=by,
        until=_texts(data["until"], f"{where}/until"),
        replaced_by=_texts(data.get("replaced_by", []), f"{where}/replaced_by"),
        limit=_limit(data["limit"], f"{where}/limit"),
        extension=_extension(data.get("extension"), f"{where}/extension"),
        before=_flag(data.get("before", False), f"{where}/before"),
        ends_on_date=_flag(data.get("ends_on_date", False), f"{where}/ends_on_date"),
        basis=frozenset(_texts(data.get("basis", []), f"{where}/basis")),
        urgency=_urgency(data.get("urgency", []), f"{where}/urgency"),
        kind=kind,
        verified=_flag(data.get("verified", True), f"{where}/verified"),
        source=_text(data["source"], f"{where}/source"),
        silence=_text(data["silence"], f"{where}/silence"),
    )


def _from_event(value: Any, where: str) -> tuple[str, Moment]:
    act, _, moment = _text(value, where).rpartition(".")
    try:
        return _text(act, where), Moment(moment)
    except ValueError:
        raise CatalogueInvalid("It starts with <act>.delivered, .created or .stated.", where=where) from None


def _limit(value: Any, where: str) -> Limit:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise CatalogueInvalid("A limit is one number of one unit.", where=where)
    [(unit, count)] = value.items()
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _LONGEST:
        raise CatalogueInvalid(f"A limit is a whole number up to {_LONGEST}.", where=where)
    try:
        return Limit(unit=Unit(unit), count=count)
    except ValueError:
        raise CatalogueInvalid(f"A limit is in {', '.join(Unit)}.", where=where) from None


def _extension(value: Any, where: str) -> Extension | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or value.keys() != {"act", "limit"}:
        raise CatalogueInvalid("An extension has an act and a limit.", where=where)
    return Extension(act=_text(value["act"], f"{where}/act"), limit=_limit(value["limit"], f"{where}/limit"))


def _urgency(value: Any, where: str) -> frozenset[str]:
    found = frozenset(_texts(value, where))
    if not found <= _URGENCIES:
        raise CatalogueInvalid("There is no such urgency.", where=where)
    return found


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise CatalogueInvalid("This must be a list.", where=where)
    return tuple(_text(item, f"{where}/{position}") for position, item in enumerate(value))


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise CatalogueInvalid("This must be a text.", where=where)
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise CatalogueInvalid("This must be true or false.", where=where)
    return value
