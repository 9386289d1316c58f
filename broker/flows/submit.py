# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Take a message from a caller: only when it is stored whole does the caller get yes (promise P1)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.accompanied import asks_about_adult
from broker.core.content import decode_header
from broker.core.deadlines import EXTENSION_NOTICE
from broker.core.elsewhere import looks_elsewhere
from broker.core.errors import (
    NewerMessages,
    NotAllowed,
    SchemaInvalid,
    SenderError,
    TrustListExpired,
    VersionNotSupported,
)
from broker.core.ids import CountryCode, Digest
from broker.core.messages import Body, ClearedMessage, Draft, Submission, ValidMessage
from broker.core.procedures import NOT_OPENED
from broker.core.safeguards import Cleared, Decision, Held, decide, refusal, released
from broker.core.sides import sides_of
from broker.core.surge import may_wait, owed
from broker.core.trust import GRACE
from broker.derived.casefile import CORRECTION, Casefile, read_casefile
from broker.derived.meanwhile import newer_than
from broker.derived.surges import surge_until
from broker.derived.timetable import Timetable
from broker.ledger import Ledger
from broker.ports import Clock, Ids, Reader, Store, TrustSource
from broker.rows import Accepted, Idempotent, ProcedureRow, Release
from broker.sealed.checking import check_sent
from broker.submission.holding import Holding, submission_of
from broker.submission.placing import Placing
from broker.submission.recording import Recording
from broker.submission.repeating import earlier, fingerprint
from broker.submission.sealed_files import SealedFiles

__all__ = ["Submit"]

_NAMED = 12  # newer messages


class Submit:
    """Draft → ValidMessage → ClearedMessage → OutboxEntry."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        trust: TrustSource,
        catalogue: Catalogue,
        clock: Clock,
        ids: Ids,
        wake: Callable[[], None],
        timetable: Timetable,
        sealed_files: SealedFiles,
        trust_grace: timedelta = GRACE,
    ) -> None:
        self._us = us
        self._store = store
        self._trust = trust
        self._catalogue = catalogue
        self._ledger = Ledger(us=us, catalogue=catalogue)
        self._clock = clock
        self._ids = ids
        self._wake = wake
        self._timetable = timetable
        self._sealed_files = sealed_files
        self._place = Placing(
            us=us, store=store, trust=trust, catalogue=catalogue, clock=clock, ids=ids, trust_grace=trust_grace
        )
        self._recording = Recording(
            us=us,
            trust=trust,
            catalogue=catalogue,
            ledger=self._ledger,
            holding=Holding(us=us, ledger=self._ledger, clock=clock),
            timetable=timetable,
            clock=clock,
        )

    async def __call__(self, submission: Submission) -> Accepted:
        """Check, record and answer.

        Raises:
            SafeguardHeld: it is kept for a second person, who releases or rejects it.
            SenderError: it is refused, with what is wrong, where, and who must act; nothing was stored.
            NodeError: nothing was stored; the caller tries again with the same idempotency key.
        """
        asked = fingerprint(submission, self._ids.message_id())
        try:
            accepted = await self._take(submission, asked, None)
        except (SenderError, TrustListExpired):
            # Perhaps it was accepted before and the world has changed since: the same key gets the same answer.
            before = await self._store.run(lambda tx: earlier(tx, asked))
            if before is None:
                raise
            return before
        self._wake()
        return accepted

    async def release(self, release: Release) -> Accepted:
        """Let a held message leave: everything is checked again, in the world as it is now.

        Raises:
            SenderError: it may not leave any more, or others than the held reasons speak against it; it is held on.
        """
        content: Any = canonical.parse(release.draft.content or b"{}")
        header = decode_header(content["header"])
        held = header.procedure_id
        known = await self._store.read(lambda reader: None if held is None else reader.procedure(held, None))
        submission = submission_of(header, content["body"], release.draft, None if known is None else held)
        accepted = await self._take(submission, fingerprint(submission, self._ids.message_id()), release)
        self._wake()
        return accepted

    async def _take(self, submission: Submission, asked: Idempotent, release: Release | None) -> Accepted:
        row, draft = await self._place(submission, release.draft if release else None)
        message, opens = self._validated(draft), submission.procedure is None
        check_sent(message.header, message.body, self._trust.current(), opens=opens, now=message.header.created)
        await self._sealed_files.check(message.header)
        return await self._decide(asked, row, message, submission, release)

    def _validated(self, draft: Draft) -> ValidMessage:
        """Return the valid message; of what only a newer version can say, tell that the recipient knows it not yet."""
        try:
            return self._catalogue.validate(draft)
        except SchemaInvalid as error:
            used, newest = draft.header.version, self._catalogue.versions(draft.header.type)[-1]
            try:
                self._catalogue.validate(replace(draft, header=replace(draft.header, version=newest)))
            except SenderError:
                raise error from None
            raise VersionNotSupported(
                f"This goes out in version {used}, the newest that the addressed country lists or the one that was asked for, "
                f"and something in it came with version {newest}: leave that out, and say it in words.",
                where=error.where,
            ) from None

    async def _decide(
        self, asked: Idempotent, row: ProcedureRow, message: ValidMessage, asking: Submission, release: Release | None
    ) -> Accepted:
        """Judge the message by what was exchanged before, and record it unless something else came in between."""
        while True:
            known = await self._casefile(row, message)
            sides = sides_of(self._trust.current(), message.header, opening=row.state == NOT_OPENED)
            decision = decide(message, known.earlier, sides, known.elsewhere, came=known.came)
            if isinstance(decision, Held) and may_wait(decision.reasons):
                surge = await self._store.read(lambda reader: surge_until(reader, self._us, message.header))
                decision = decide(message, known.earlier, sides, known.elsewhere, surge, known.came)
            warnings = decision.warnings if isinstance(decision, Cleared) else ()
            cleared = await self._let_pass(decision, message, asked, row, known.record, asking, release)
            if release is not None:
                await self._check_seen(release)  # the record is read once more; a newer one than judged is decided anew
            accepted = await self._store.run(
                functools.partial(
                    self._recording.record,
                    asked=asked,
                    row=row,
                    cleared=cleared,
                    known=known.record,
                    asking=asking,
                    release=release,
                    owed=owed(warnings),
                )
            )
            if accepted is not None:
                return replace(accepted, warnings=warnings) if warnings else accepted

    async def _let_pass(
        self,
        decision: Decision,
        message: ValidMessage,
        asked: Idempotent,
        row: ProcedureRow,
        known: frozenset[Digest],
        asking: Submission,
        release: Release | None,
    ) -> ClearedMessage:
        """Return the message cleared, by the rules or by a second person; keep a held one for that person."""
        if isinstance(decision, Cleared):
            return decision.message
        if isinstance(decision, Held) and release is not None and decision.within(release.draft.reasons):
            return released(message, decision)
        if isinstance(decision, Held) and release is None:
            await self._store.run(
                functools.partial(
                    self._recording.hold,
                    asked=asked,
                    row=row,
                    message=message,
                    held=decision,
                    known=known,
                    asking=asking,
                )
            )
        raise refusal(decision)

    async def _check_seen(self, release: Release) -> None:
        """Refuse to say an older word over newer ones, unless the second person names them: nobody else would know."""
        newer = await self._store.read(lambda reader: newer_than(reader, self._us, release.draft))
        unseen = [one for one in newer if one.message not in release.seen]
        if unseen:
            named = ", ".join(f"{one.author} {one.type} {one.message}" for one in unseen[:_NAMED])
            more = f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
            raise NewerMessages(
                f"Since this message was written there left or came: {named}{more}. Look at them; it is released when "
                "they are named as seen.",
                where="/seen",
            )

    async def _casefile(self, row: ProcedureRow, message: ValidMessage) -> Casefile:
        kind = message.header.type
        about_a_child = message.header.case_ref is not None and kind.procedure != CORRECTION
        elsewhere = looks_elsewhere(kind) or asks_about_adult(kind, message.body)
        if row.state == NOT_OPENED and about_a_child and not elsewhere:
            return Casefile()  # nothing was exchanged before
        return await self._store.read(lambda reader: self._read(reader, row, message))

    def _read(self, reader: Reader, row: ProcedureRow, message: ValidMessage) -> Casefile:
        if message.header.type.act == EXTENSION_NOTICE:
            self._check_extension(reader, row, message.body)
        return read_casefile(reader, self._us, row, message.header, message.body, self._catalogue)

    def _check_extension(self, reader: Reader, row: ProcedureRow, body: Body) -> None:
        """Refuse a longer time than a source allows, a second one, one announced too late, and the other side's."""
        book, now = self._ledger.read(reader, row), self._clock.now()
        standings = self._timetable.standings(reader, book, book.fold(), now=now)
        allowed_now = {item.deadline.id: item for item in standings if item.ours and item.extendable}
        if body["deadline"] not in allowed_now:
            named = ", ".join(allowed_now) or "none"
            raise NotAllowed(f"Deadlines of this side that may be extended now: {named}.", where="/body/deadline")
        found = allowed_now[body["deadline"]]
        if not found.last_day < date.fromisoformat(body["new_date"]) <= found.longest_day:
            span = f"after {found.last_day} and not after {found.longest_day}"
            raise NotAllowed(f"The new date lies {span}: its source allows no more.", where="/body/new_date")
