# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the store keeps and gives for erasing and retaining: of a transaction, and of a reader where it only looks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from broker.core.erasures import CaseMessage, Duty, Erasure, ErasureState, Retained
from broker.core.ids import AuthorityId, CaseRef, CountryCode, ErasureId, MessageId, ProcedureId
from broker.rows import HeldDraft, ProcedureRow
from broker.security.at_rest import Scope

__all__ = ["RetentionReader", "RetentionWriter"]


class RetentionReader(Protocol):
    """Looks only; needs no key but for the held messages."""

    def case_of(self, peer: CountryCode, case: CaseRef) -> tuple[ProcedureRow, ...]:
        """Return every procedure under a case reference towards one country, whichever office has it, oldest first."""
        ...

    def case_messages(self, procedures: Sequence[ProcedureId]) -> tuple[CaseMessage, ...]:
        """Return the messages of both directions, oldest first; also of what is erased."""
        ...

    def erased_messages(self, message: MessageId) -> tuple[CaseMessage, ...]:
        """Return what is left of every message of that id whose procedure is erased; several countries may have used one id."""
        ...

    def erasure_of(self, procedure: ProcedureRow) -> Erasure | None:
        """Return the newest erasure that was carried out of a procedure; None also where a restored backup knows none."""
        ...

    def drafts_of(self, scope: Scope) -> tuple[HeldDraft, ...]:
        """Return the held messages of a scope whose content is kept."""
        ...

    def last_activity(self, procedure: ProcedureId) -> datetime | None:
        """Return when the newest message was recorded or received; None: there is none."""
        ...

    def retained(self, scope: Scope) -> Retained | None: ...
    def erasure(self, erasure: ErasureId) -> Erasure | None:
        """Return an erasure, locked until the end of a transaction."""
        ...

    def open_erasure(self, scope: Scope) -> Erasure | None:
        """Return the erasure of a case that is asked for or proposed."""
        ...

    def erasures(self, authority: AuthorityId | None, *, limit: int) -> tuple[Erasure, ...]:
        """Return an office's erasures, newest first."""
        ...

    def asked_for(self, peer: CountryCode, message: MessageId) -> tuple[Erasure, ...]:
        """Return every erasure that a message of another country asked for, one for each case that it names."""
        ...

    def duties_of(self, erasure: ErasureId) -> int:
        """Return how much of an erasure is still to be removed outside of the database."""
        ...


class RetentionWriter(RetentionReader, Protocol):
    """Writes, within the transaction that it belongs to."""

    def save_retained(self, row: Retained) -> None: ...
    def add_erasure(self, row: Erasure) -> bool:
        """False: an erasure of that case is asked for or proposed already."""
        ...

    def settle_erasure(self, erasure: Erasure, *, was: ErasureState) -> bool:
        """Store what became of one. False: it was in that state no more."""
        ...

    def lapsed_erasures(self, *, before: datetime, limit: int) -> tuple[Erasure, ...]:
        """Return what was proposed before that time and nobody decided about."""
        ...

    def mark_erased(self, procedure: ProcedureId, at: datetime) -> None: ...
    def forget(self, message: CaseMessage) -> tuple[str, ...]:
        """Delete a message's ciphertexts and the rows of its attachments; return the blobs that nothing names now."""
        ...

    def finish_erasures(self, epoch: int, at: datetime) -> tuple[Erasure, ...]:
        """Mark and return the erasures whose keys were destroyed before that epoch: they are final."""
        ...

    def add_duty(self, duty: Duty, at: datetime) -> None: ...
    def lease_duties(self, *, now: datetime, until: datetime, limit: int) -> tuple[Duty, ...]:
        """Take what is due; nobody else takes it until then."""
        ...

    def retry_duty(self, duty: Duty, *, next_at: datetime) -> None:
        """Count an attempt and set the next one."""
        ...

    def drop_duty(self, duty: Duty) -> None:
        """Whoever held it has confirmed that it is gone."""
        ...
