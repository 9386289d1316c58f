# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a stored procedure speaks of a person: what the search's buckets say may fit is opened and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from broker.catalogue import Catalogue
from broker.core.corrected import as_corrected, is_correction
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.messages import Body, Header
from broker.core.persons import Person, PersonQuery
from broker.derived.archive import body_of, oldest_first, said_by, whole
from broker.ports import Reader
from broker.rows import MessageFilter, MessageRow, ProcedureRow

__all__ = ["anybody", "possible", "speaks_of"]

_PROCEDURES = 50  # in one read: each read goes through the whole table of buckets


def speaks_of(reader: Reader, catalogue: Catalogue, row: ProcedureRow, query: PersonQuery) -> bool:
    """Whether any message of the procedure names that person.

    Raises:
        CaseKeyMissing, StoreCorrupt: one that is looked at does not open.
    """
    seen: list[MessageRow] = []
    for message in whole(reader, MessageFilter(procedure=row.ref.id)):
        if any(map(query.fits, catalogue.people(message.header, body_of(message)))):
            return True
        seen.append(message)
    return _as_corrected(reader, catalogue, seen, query)


def _as_corrected(reader: Reader, catalogue: Catalogue, seen: Sequence[MessageRow], query: PersonQuery) -> bool:
    """Whether one of these messages names that person as it reads after the corrections among them."""
    if not any(is_correction(message.header.type) for message in seen):
        return False
    ordered = oldest_first(reader, seen)
    first = [said_by(message) for message in ordered]
    headers = {message.digest: message.header for message in ordered}
    changed = (now for now in as_corrected(first) if now not in first)
    return any(
        map(query.fits, (person for now in changed for person in _people(catalogue, headers[now.digest], now.body)))
    )


def _people(catalogue: Catalogue, header: Header, body: Body) -> tuple[Person, ...]:
    try:
        return catalogue.people(header, body)
    except (LookupError, TypeError, ValueError, AttributeError):  # a correction put words where the schema has a part
        return ()


def anybody(reader: Reader, catalogue: Catalogue, query: PersonQuery) -> bool:
    """Whether any procedure of this node, of whichever office, names that person, or may and does not open."""
    return any(_may_speak_of(reader, catalogue, row, query) for row in possible(reader, query.terms))


def possible(reader: Reader, terms: frozenset[str]) -> Iterator[ProcedureRow]:
    """Yield the procedures that may speak of all of the terms, of whichever office: open them and compare."""
    cursor = None
    while True:
        page = reader.possible_procedures(terms, None, cursor=cursor, limit=_PROCEDURES)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def _may_speak_of(reader: Reader, catalogue: Catalogue, row: ProcedureRow, query: PersonQuery) -> bool:
    try:
        return speaks_of(reader, catalogue, row, query)
    except (CaseKeyMissing, StoreCorrupt):
        return True
