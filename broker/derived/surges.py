# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-39: where surge mode is on now, read from the open procedures: for the safeguards, and for whoever looks at a list.

Of a procedure's registrations that nobody refused the newest counts, told by what it follows, while the procedure is open.
Its days stand in the message: where the vault is locked nobody can say until when. A correction may end it sooner; that it
lasts longer is said by a renewal, for which two persons decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import TypeVar

import orjson

from broker.core.errors import CaseKeyMissing, KeyMissing, StoreCorrupt, VaultLocked
from broker.core.ids import CountryCode
from broker.core.messages import Body, Header
from broker.core.surge import OVER, REGISTRATION, SurgeMode, in_force_until
from broker.derived.archive import Archive
from broker.ports import Clock, Reader, Store
from broker.rows import Declaration

__all__ = ["surge_modes", "surge_until", "with_surge"]

_MOST = 200  # registrations of each author; another country cannot make a list slow by declaring without end

T = TypeVar("T")


async def with_surge(
    store: Store, us: CountryCode, clock: Clock, look: Callable[[Reader], T]
) -> tuple[T, tuple[SurgeMode, ...]]:
    """Return what somebody looks at, and where surge mode is on.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    day = clock.now().date()
    return await store.read(lambda reader: (look(reader), surge_modes(reader, us, day)))


def surge_modes(reader: Reader, us: CountryCode, day: date) -> tuple[SurgeMode, ...]:
    """Return each declaration that is in force on that day, between two countries the one that lasts longest."""
    last: dict[tuple[CountryCode, CountryCode, bool], date | None] = {}
    for said in reader.declarations(REGISTRATION, over=OVER, limit=_MOST):
        between = (said.opener, said.peer if said.opener == us else us, said.exercise)
        try:
            until = _last_day(reader, us, said, day)
        except (CaseKeyMissing, KeyMissing, StoreCorrupt, VaultLocked, LookupError, TypeError, ValueError):
            last.setdefault(between, None)  # it does not open here, or was corrected to any words
        else:
            if until is not None:
                last[between] = max(until, last.get(between) or until)
    return tuple(
        SurgeMode(declared_by=by, towards=towards, until=until, exercise=exercise)
        for (by, towards, exercise), until in sorted(last.items(), key=lambda item: item[0])
    )


def _last_day(reader: Reader, us: CountryCode, said: Declaration, day: date) -> date | None:
    """Return the last day of a declaration, as it was written and as it reads now; None: not in force by both."""
    if said.content is None:
        raise CaseKeyMissing
    last = [in_force_until(body, day) for body in (orjson.loads(said.content)["body"], *_as_it_reads(reader, us, said))]
    standing = [one for one in last if one is not None]
    return min(standing) if len(standing) == len(last) else None


def _as_it_reads(reader: Reader, us: CountryCode, said: Declaration) -> Iterator[Body]:
    row, way = reader.procedure(said.procedure, None), "out" if said.opener == us else "in"
    if row is None:
        return
    for message in reader.messages_of(said.message, None):
        if message.direction == way and message.header.procedure_id == said.procedure:
            yield Archive(reader, us, row).as_it_reads(row, message).body


def surge_until(reader: Reader, us: CountryCode, header: Header) -> date | None:
    """Return the last day of surge mode that this country declared towards the addressed one; None: there is none now."""
    for mode in surge_modes(reader, us, header.created.date()):
        if (mode.declared_by, mode.towards, mode.exercise) == (us, header.recipient.country, header.exercise):
            return mode.until
    return None
