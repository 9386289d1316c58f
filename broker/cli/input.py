# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a person types or names: parsed, or refused with the place that is wrong and never with the text."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from broker.core.errors import BadRequest, RequestTooLarge
from broker.core.ids import (
    ArrangementId,
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    ErasureId,
    KeyId,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)
from broker.core.messages import NODE

__all__ = [
    "MAX_BYTES", "named_case", "new_file", "office_id", "one_of", "overlap_of", "parsed", "read_bytes", "read_day", "read_json", "read_theft", "read_time",
]  # fmt: skip

T = TypeVar("T")
Code = TypeVar("Code", bound=str)

MAX_BYTES = 8 * 1024 * 1024  # of a file; the largest message is 1 MiB
_TIMED = "01920000-0000-7000-8000-000000000000"
_CASE = "CR-0123456789ABCDEFGHJK"
_RIGHT: dict[Callable[[str], Any], str] = {  # what a right one is called, and looks like
    ArrangementId: "an arrangement's id, like nordic-2026",
    AuthorityId: "an office's id, like social-insurance-board: small letters, digits and hyphens, at most 63",
    CaseRef: f"a case reference, like {_CASE}, with EX- before it in an exercise",
    CountryCode: "a country's code, like FI: two capital letters (ISO 3166-1; Greece is GR, the United Kingdom GB)",
    Digest: "a digest: 64 digits and letters from a to f",
    ErasureId: f"an erasure's id, like {_TIMED}: trm case erasures shows them",
    KeyId: "a key's id: 43 letters, digits, hyphens and underscores, as trm keys list shows them",
    MessageId: f"a message's id, like {_TIMED}: trm inbox shows them",
    MessageType: "a message type, like family-tracing.request",
    ProcedureId: f"a procedure's id, like {_TIMED}: trm show names that of a message",
    SchemaVersion: "a version, like 1.0",
}


def parsed(kind: Callable[[str], T], text: str, where: str) -> T:
    """Return the identifier.

    Args:
        kind: one of those in `core.ids`.
        text: what was typed.
        where: the option or argument.

    Raises:
        BadRequest: the text does not have its form; the sentence says what a right one looks like.
    """
    try:
        return kind(text)
    except ValueError as error:
        raise BadRequest(f"This is not {_RIGHT[kind]}.", where=where) from error


def named_case(text: str, where: str = "CASE") -> CaseRef | ProcedureId:
    """Return the case reference or procedure that was typed.

    Raises:
        BadRequest: it is neither.
    """
    for kind in (CaseRef, ProcedureId):
        try:
            return kind(text)
        except ValueError:
            continue
    raise BadRequest(
        f"This is neither a case reference, like {_CASE}, nor a procedure's id, like {_TIMED}.", where=where
    )


def one_of(codes: Iterable[Code], text: str, where: str, *, what: str = "The reason") -> Code:
    """Return the code of a closed list that was typed.

    Raises:
        BadRequest: it is not in the list, which is named.
    """
    known = {str(code): code for code in codes}
    if text not in known:
        raise BadRequest(f"{what} is one of: {', '.join(known)}.", where=where)
    return known[text]


def read_day(text: str, where: str) -> date:
    """Return the day of a text like ``2026-11-22``.

    Raises:
        BadRequest: it is not a day of the calendar.
    """
    try:
        if len(text) == len("2026-11-22"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadRequest("This is not a day like 2026-11-22.", where=where)


def read_time(text: str, where: str) -> datetime:
    """Return the moment of a text like ``2027-01-31T08:00:00Z``.

    Raises:
        BadRequest: it is not one in UTC.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise BadRequest("This is not a UTC time as 2027-01-31T08:00:00Z.", where=where) from None


def office_id(text: str, where: str) -> AuthorityId:
    """Return the id of an office that our country names: ``node`` is the node itself (PROTOCOL 2).

    Raises:
        BadRequest: it is no id, or that one.
    """
    office = parsed(AuthorityId, text, where)
    if office == NODE:
        raise BadRequest("'node' is the node itself: an office has another id.", where=where)
    return office


def read_theft(text: str, now: datetime, *, alone: bool) -> datetime:
    """Return from when keys that somebody else may have count no more: ``now``, or a moment that has been.

    Args:
        text: what ``--stolen-since`` was given.
        now: the current time.
        alone: nothing else was said about when keys begin or end.

    Raises:
        BadRequest: it is not one, it is still to come, or something else was said.
    """
    if not alone:
        raise BadRequest(
            "Stolen keys are replaced at once and without an overlap: leave the other times out.",
            where="--stolen-since",
        )
    moment = now if text == "now" else read_time(text, "--stolen-since")
    if moment > now:
        raise BadRequest("Nobody has stolen a key in the future; say now.", where="--stolen-since")
    return moment


def overlap_of(hours: int | None) -> timedelta:
    """Return how long old keys are used beside new ones: a week where nobody said."""
    return timedelta(weeks=1) if hours is None else timedelta(hours=hours)


def read_bytes(file: Path, *, most: int) -> bytes:
    """Return what a file holds.

    Raises:
        BadRequest: it cannot be read.
        RequestTooLarge: it is larger than what is wanted ever is.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(most + 1)
    except OSError as error:
        raise BadRequest(f"The file cannot be read ({type(error).__name__}).", where=str(file)) from None
    if len(raw) > most:
        raise RequestTooLarge(where=str(file))
    return raw


def read_json(file: Path) -> Any:
    """Return the JSON value of a file, or of standard input for ``-``.

    Raises:
        BadRequest: it cannot be read, is not JSON, or names something twice in one object.
        RequestTooLarge: it is larger than any message.
    """
    where = str(file)
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if where == "-" else read_bytes(file, most=MAX_BYTES)
    except OSError as error:
        raise BadRequest(f"The file cannot be read ({type(error).__name__}).", where=where) from None
    if len(raw) > MAX_BYTES:
        raise RequestTooLarge(where=where)
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise BadRequest("The file is not UTF-8.", where=where) from None
    except json.JSONDecodeError as error:
        raise BadRequest("The file is not JSON.", where=f"{where}: line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError):
        raise BadRequest("The file is nested too deep, or names something twice in one object.", where=where) from None


@contextmanager
def new_file(file: Path) -> Iterator[BinaryIO]:
    """Give a new file, for its owner alone, that is taken away again when it does not become whole and last.

    Raises:
        BadRequest: something is there already, or nothing can be made there.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise BadRequest("Something is there already; name a new file.", where=str(file)) from None
    except OSError as error:
        raise BadRequest(f"The file cannot be written ({type(error).__name__}).", where=str(file)) from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        with suppress(OSError):
            file.unlink()
        raise


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a name twice")
    return data
