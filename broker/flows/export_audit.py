# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Give a part of the audit trail out as a signed file; that it was given out, and why, is part of what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from broker.core.audit import AuditAction, AuditReason, AuditRow, Linked, Who
from broker.core.checkpoints import KeptCheckpoint
from broker.core.content import time_to_text
from broker.core.ids import CountryCode
from broker.core.trail import LATE
from broker.core.trust import KeyUse, Member, MemberKey
from broker.ports import Clock, Reader, Store, TrustSource, Vault
from broker.rows import AuditFilter
from broker.trail_file import Part, TrailWriter

__all__ = ["ExportAudit", "Given"]

_CHUNK = 5_000  # entries
_CHECKPOINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given out."""

    first: int
    last: int
    bytes: int


class ExportAudit:
    """Writes the part of the trail that a supervisory authority asks for."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        trust: TrustSource,
        vault: Vault,
        clock: Clock,
        settle: Callable[[], Awaitable[KeptCheckpoint]],
        member_then: Callable[[Reader, bytes], Member | None],
    ) -> None:
        """Args:
        us, store, trust, vault, clock: whose trail, where it is, and the keys that sign the file.
        settle: links what waits, signs the head and returns it.
        member_then: our entry in the trust list of a checkpoint's time.
        """
        self._us = us
        self._store = store
        self._trust = trust
        self._vault = vault
        self._clock = clock
        self._settle = settle
        self._member_then = member_then

    async def __call__(
        self, wanted: AuditFilter, who: Who, *, reason: AuditReason, write: Callable[[bytes], object]
    ) -> Given:
        """Write the file piece by piece; the entry about it stands in the trail before.

        Raises:
            KeyMissing: no key may sign now.
            StoreUnavailable, DiskFull: it is not on record, or the trail cannot be read; the file is not whole.
        """
        await self._store.run(lambda tx: tx.audit(self._entry(wanted, who, reason)))
        newest = await self._settle()
        start, end, keys = await self._store.read(lambda reader: self._bounds(reader, wanted, newest))
        trust, now = self._trust.current(), self._clock.now()
        part = Part(
            country=self._us, made=now, reason=reason, wanted=wanted,
            start=start, end=end, trust_version=trust.version, keys=keys,
        )  # fmt: skip
        writer, size = TrailWriter(part), 0
        write(writer.begin())
        first = after = start.head.position if start else 0
        while after < end.head.position:
            links = await self._links(after, end.head.position)
            if not links:
                break  # cut off at its end: the file says so by its signed head
            size += len(piece := writer.add(links))
            write(piece)
            after = links[-1].position
        write(writer.end(self._vault.signer(trust, now)))
        return Given(first=first + 1, last=end.head.position, bytes=size)

    async def _links(self, after: int, last: int) -> tuple[Linked, ...]:
        return await self._store.read(lambda reader: reader.audit_trail(after, min(_CHUNK, last - after)))

    def _bounds(
        self, reader: Reader, wanted: AuditFilter, newest: KeptCheckpoint
    ) -> tuple[KeptCheckpoint | None, KeptCheckpoint, tuple[MemberKey, ...]]:
        """Return the signed heads around what is wanted: an entry stands before the first head that was signed after it."""
        start, end, after = None, newest, -1
        while batch := reader.checkpoints(after, _CHECKPOINTS):
            for kept in batch:
                if kept.cut or (wanted.since is not None and kept.at < wanted.since):
                    start = kept
                elif wanted.until is not None and kept.at >= wanted.until + LATE:
                    end = min(end, kept, key=_position)
            after = batch[-1].head.position
        keys = dict.fromkeys(self._signing_keys(self._trust.current().members.get(self._us)))
        if start is not None:
            keys |= dict.fromkeys(self._signing_keys(self._member_then(reader, start.raw)))
        return start, end, tuple(keys)

    def _signing_keys(self, member: Member | None) -> tuple[MemberKey, ...]:
        return () if member is None else tuple(key for key in member.keys if key.use is not KeyUse.HPKE)

    def _entry(self, wanted: AuditFilter, who: Who, reason: AuditReason) -> AuditRow:
        limits = {"since": wanted.since, "until": wanted.until}
        said = [f"{name}={time_to_text(at)}" for name, at in limits.items() if at is not None]
        if wanted.procedures is not None:
            said.append(f"procedures={len(wanted.procedures)}")
        return AuditRow(
            at=self._clock.now(),
            actor=who.actor,
            role=who.role,
            authority=who.authority,
            action=AuditAction.TRAIL_EXPORTED,
            subject="audit",
            detail=" ".join(said),
            reason=reason,
        )


def _position(kept: KeptCheckpoint) -> int:
    return kept.head.position
