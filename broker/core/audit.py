# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The audit trail: what is recorded, under which role, and how its entries are chained (PROTOCOL 14).

- Actions, roles and reasons are closed lists: what is stored under one of them keeps its meaning for good.
- An entry holds codes, identifiers and subjects of tokens; never anything that a message says about a person.
- A link is over the entry's digest, not over the entry: one that a reader may not see is shown as its digest alone, and
  the chain can still be followed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from broker.core import canonical
from broker.core.content import time_to_text
from broker.core.ids import AuthorityId, CountryCode, Digest, ProcedureId
from broker.core.roles import AuditRole

__all__ = [
    "GENESIS",
    "AuditAction",
    "AuditReason",
    "AuditRow",
    "Entry",
    "Head",
    "Linked",
    "SearchReason",
    "Who",
    "chained",
    "link_bytes",
]


class AuditAction(StrEnum):
    """What the audit trail records."""

    SUBMITTED = "submitted"  # a caller's message was accepted
    HELD = "held"  # a safeguard held a caller's message
    RELEASED = "released"  # a second person let a held message leave, for a reason
    REJECTED = "rejected"  # a second person did not
    HOLD_EXPIRED = "hold-expired"  # nobody decided in time
    RECEIVED = "received"  # a believed message was recorded
    REPEATED = "repeated"  # the same message came sealed anew and was answered again
    REFUSED = "refused"  # a believed message was refused
    RECEIPTS_TAKEN = "receipts-taken"  # an envelope of receipts was taken
    HANDED_OVER = "handed-over"  # adapter or officers' inbox has it
    OPENED = "opened"  # an officer saw it, and its sender is told so
    READ = "read"  # a message's content, or what happened in a procedure, was shown
    SEARCHED = "searched"  # somebody looked for a person; never for whom
    LISTED = "listed"  # a page of messages or procedures was shown
    RESENT = "resent"  # sent again, by itself or by a person
    RESEALED = "resealed"  # sealed and sent anew, because a key of its seal counts no longer
    RECEIPTS_QUEUED = (
        "receipts-queued"  # receipts are sent anew for the same reason, or because their envelope does not open
    )
    UPLOADED = "uploaded"  # somebody began to upload a file
    ATTACHMENT_COMPLETE = "attachment-complete"  # a received attachment is whole and verified
    ATTACHMENT_READ = "attachment-read"  # somebody was given an attachment; its place in the message
    CHUNKS_ASKED = "chunks-asked"  # chunks of an attachment were asked for again, by us or by a peer
    QUARANTINED = "quarantined"  # something unbelievable was kept sealed
    TRUST_LIST_CHANGED = "trust-list-changed"  # a newer trust list came into force
    EPOCH_BEGUN = "epoch-begun"  # the keys of cases are moving to the next wrapping key
    EPOCH_ENDED = "epoch-ended"  # the earlier wrapping keys are destroyed
    ATTENTION_RAISED = "attention-raised"  # a person was called
    ATTENTION_RESOLVED = "attention-resolved"  # a person, or the node, closed the call
    TRAIL_SHOWN = "trail-shown"  # somebody looked at this trail
    TRAIL_EXPORTED = "trail-exported"  # a part of this trail was given out as a file
    BACKED_UP = "backed-up"  # a backup of this node was written; its digest
    RESTORED = "restored"  # this node was made anew from a backup: what came after that backup is missing in this trail
    PEER_RESTORED = "peer-restored"  # another country says that its node was restored; it is told what it misses
    RETURNED = "returned"  # a message of ours came back as we signed it
    HEALED = "healed"  # another country has said all that this node missed
    HEALING_ENDED = "healing-ended"  # a person ended the asking of a country that does not answer
    DISCLOSURES_SHOWN = "disclosures-shown"  # what of a case went to whom was shown
    ERASURE_PROPOSED = "erasure-proposed"  # a person proposed to erase a case, for a reason
    ERASURE_REJECTED = "erasure-rejected"  # another person, or the same one, did not
    ERASURE_LAPSED = "erasure-lapsed"  # nobody confirmed in time
    ERASED = "erased"  # a second person confirmed: the keys of the case are destroyed
    ERASURE_FINAL = "erasure-final"  # no older copy of any key opens it either
    COPIES_ERASED = "copies-erased"  # an adapter removed what it had handed over
    LEGAL_HOLD = "legal-hold"  # nothing of a case may be erased, for a reason
    LEGAL_HOLD_ENDED = "legal-hold-ended"
    REVIEWED = "reviewed"  # a person decided until when a case is kept, and why


class AuditReason(StrEnum):
    """What for a person looks at the trail (LED 25(2)) or asks what was disclosed."""

    SUPERVISORY_AUTHORITY = "supervisory-authority"  # it asked (GDPR 58, LED 25(3))
    LAWFULNESS = "lawfulness"  # whether processing was lawful
    SELF_MONITORING = "self-monitoring"  # own regular checks
    SECURITY = "integrity-and-security"  # of the data; an incident
    PROCEEDINGS = "criminal-proceedings"
    ACCESS_REQUEST = "access-request"  # by the person concerned (GDPR 15, LED 14)
    RETENTION = "retention"  # what was kept long enough


class SearchReason(StrEnum):
    """What for a person looks for somebody among the office's procedures."""

    CASEWORK = "casework"  # is this child, or who is with it, known here already?
    OTHER_COUNTRY = "other-country"  # its office asks on another way, or telephones
    ACCESS_REQUEST = "access-request"  # of the person concerned, and what follows from it (GDPR 15 to 19)
    SUPERVISORY_AUTHORITY = "supervisory-authority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Somebody who acts at this node."""

    actor: str
    role: AuditRole
    authority: AuthorityId | None = None  # for which office; None: for the whole node


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """Who did what, when, why and under which role, to which thing; written in the business transaction."""

    at: datetime
    actor: str  # subject of a token, name of an adapter, country code, or "node"
    action: str  # an AuditAction
    subject: str  # identifier of what it was done to
    detail: str = ""  # codes and identifiers only
    role: AuditRole = AuditRole.NODE
    authority: AuthorityId | None = None  # ours, for which it was done; None: the whole node's
    procedure: ProcedureId | None = None
    peer: CountryCode | None = None  # recipient or source country
    reason: str = ""  # why, as a code: a legal basis, a reason for sending again, an AuditReason
    position: int | None = None  # in the chain, given when it is linked; no part of what the row says


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row as it is stored; the chain is over all of it."""

    id: int  # given by the store
    row: AuditRow

    def canonical(self) -> bytes:
        """Return the bytes that the digest is over (PROTOCOL 14.1)."""
        row = self.row
        return canonical.dump_known(
            {
                "action": row.action,
                "actor": row.actor,
                "at": time_to_text(row.at),
                "authority": row.authority,
                "detail": row.detail,
                "id": self.id,
                "peer": row.peer,
                "procedure": row.procedure,
                "reason": row.reason,
                "role": row.role,
                "subject": row.subject,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain, or of its part up to a position."""

    position: int  # of its last entry; the first entry has 1
    chain: Digest


GENESIS = Head(position=0, chain=Digest("0" * 64))


class Linked(NamedTuple):
    """An entry in its place in the chain; a plain tuple, because a check makes one for each entry of a whole trail."""

    position: int
    digest: str  # of the entry's bytes
    chain: str  # the link: over this place, this digest and the link before
    raw: bytes  # the entry's bytes

    @property
    def head(self) -> Head:
        """The end of the chain up to here."""
        return Head(position=self.position, chain=Digest(self.chain))


def link_bytes(previous: str, position: int, digest: str) -> bytes:
    """Return what the link of an entry behind another is the SHA-256 of (PROTOCOL 14.2)."""
    return f'{{"digest":"{digest}","position":{position},"previous":"{previous}"}}'.encode("ascii")


def chained(head: Head, entries: Iterable[Entry]) -> tuple[Linked, ...]:
    """Return the entries linked behind the head in the order given: from then on that order is the truth."""
    linked = []
    for entry in entries:
        raw, position = entry.canonical(), head.position + 1
        digest = canonical.digest(raw)
        head = Head(position=position, chain=canonical.digest(link_bytes(head.chain, position, digest)))
        linked.append(Linked(position=position, digest=digest, chain=head.chain, raw=raw))
    return tuple(linked)
