# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Life of an outbox and inbox entry without I/O: when to try again, when it is overdue.

- What we accepted is tried for ever (promise P1); what does not go by itself is never retried silently (promise P7).
- The limits here are numbers of the design, not settings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from broker.core.errors import (
    BrokerError,
    CaseKeyMissing,
    CatalogueInvalid,
    DiskFull,
    HomeInvalid,
    KeyMissing,
    NodeError,
    PublishUnconfirmed,
    SettingsInvalid,
    StoreCorrupt,
    StoreNeedsMigration,
    TransportUnavailable,
    TrustListExpired,
    TrustListInvalid,
    Unroutable,
    VaultLocked,
)

__all__ = [
    "AHEAD_SECONDS",
    "ASK_AHEAD_SECONDS",
    "ASK_MAX_SECONDS",
    "ATTACHMENT_ATTENTION_HOURS",
    "ATTENTION_AFTER_ATTEMPTS",
    "CARRY_BATCH",
    "CARRY_LEASE_SECONDS",
    "CHUNKS_ASKED_SECONDS",
    "CHUNK_QUIET_SECONDS",
    "COMPLETE_BATCH",
    "COMPLETE_LEASE_SECONDS",
    "DELIVER_BATCH",
    "DISPATCH_BATCH",
    "FUTURE_HOURS",
    "FUTURE_SECONDS",
    "HAND_OVER_PAUSE_SECONDS",
    "HAND_OVER_SECONDS",
    "HAND_OVER_SLOW_SECONDS",
    "HEAL_ASK_MAX_SECONDS",
    "HEAL_ATTEMPTS",
    "HEAL_MARGIN_SECONDS",
    "HEAL_MOST",
    "HEAL_PATIENCE_HOURS",
    "HEAL_PAUSE_SECONDS",
    "HOLD_DAYS",
    "LEASE_SECONDS",
    "MAX_UPLOADS",
    "PARKED_ATTENTION_HOURS",
    "PARKED_MAX_BYTES",
    "PARKED_MAX_CHUNKS",
    "PARKED_MAX_ITEMS",
    "PARKED_RETRY_SECONDS",
    "PUBLISH_SLOW_SECONDS",
    "QUARANTINE_MAX_BYTES",
    "QUARANTINE_MAX_ITEMS",
    "REANSWER_SECONDS",
    "REMIND_BATCH",
    "RESENDS_BY_ITSELF",
    "RETRY_MAX_SECONDS",
    "RETRY_MIN_SECONDS",
    "RETRY_TRANSPORT_MAX_SECONDS",
    "SIGN_OF_LOSS_SECONDS",
    "STALE_LIST_HOURS",
    "TRUST_REFRESH_SECONDS",
    "UNSENT_HOURS",
    "UPLOAD_HOURS",
    "WATCH_BATCH",
    "LadderLimits",
    "LadderStep",
    "RejectReason",
    "ReleaseReason",
    "ResendReason",
    "RetryDecision",
    "StepLimit",
    "is_due",
    "is_recent",
    "retry",
]

MIB = 1024 * 1024  # bytes

QUARANTINE_MAX_ITEMS = 1_000  # per broker user
QUARANTINE_MAX_BYTES = 256 * MIB  # per broker user
PARKED_MAX_ITEMS = 200  # per broker user
PARKED_MAX_BYTES = 64 * MIB  # per broker user
PARKED_RETRY_SECONDS = 60
PARKED_MAX_CHUNKS = 128  # per broker user: the largest attachment and some
CARRY_BATCH = 4  # chunks in hand at a time: each is held three times while it is sealed and sent
CARRY_LEASE_SECONDS = 120
CHUNK_QUIET_SECONDS = 600  # without a chunk of an attachment that lacks some: ask for them
# Nothing is put off or leased for so long: a later moment was written before a clock was set right. Less than an hour, for
# a clock is most often wrong by the hours of its time zone.
AHEAD_SECONDS = 1_800
# A time at which something happened here, and that lies so far ahead, was written before our clock was set right. Not beyond
# a day: then rather the clock of now is wrong, by years, as after a start without its battery.
FUTURE_SECONDS = 600
FUTURE_HOURS = 24
ASK_MAX_SECONDS = 21_600  # between two questions for the same chunks
ASK_AHEAD_SECONDS = 25_200  # likewise of a question that was asked before
CHUNKS_ASKED_SECONDS = 300  # the same chunks are not sent again sooner, however often a peer asks
COMPLETE_BATCH = 10  # attachments that are asked for together
COMPLETE_LEASE_SECONDS = 60  # to read a hundred MiB once; where it takes longer, another worker may read it as well
ATTACHMENT_ATTENTION_HOURS = 12
UNSENT_HOURS = 1  # whatever keeps a message here: then its office hears of it
UPLOAD_HOURS = 24  # an upload that no message took is dropped with its key
MAX_UPLOADS = 50  # of one office that wait for a message
PARKED_ATTENTION_HOURS = 1  # a rotated key's list arrives long before; then a person looks
STALE_LIST_HOURS = 1  # then the author, who is warned just now, gets the answer of the list that is here
MANY_OPENED = 100  # procedures by one country in a day: fewer never call anybody
FAR_OVER_USUAL = 10  # times what it opened on an average day of the month before: then a person is called
REANSWER_SECONDS = 60  # a repeat is answered again at most once in that time
TRUST_REFRESH_SECONDS = 60  # an unknown key asks for a refresh at most once in that time
RESENDS_BY_ITSELF = 3  # then only a person sends again
SIGN_OF_LOSS_SECONDS = 60  # a receipt for something published that much later: reordering alone explains less
HEAL_PAUSE_SECONDS = 20.0  # between two answers to one restored country: each may be twenty envelopes
HEAL_MARGIN_SECONDS = 3600.0  # by which clocks may differ, and commits follow the moment of a backup
HEAL_ASK_MAX_SECONDS = 900.0  # at the latest a country that does not answer is asked again
HEAL_MOST = 100_000  # messages that one country may say are missing here: whoever never ends is asked no further
HEAL_PATIENCE_HOURS = 1  # then what waits for our own messages is shown without them
HEAL_ATTEMPTS = 5  # how often a message may be promised and not come
HOLD_DAYS = 7  # a held message expires into an attention entry
LEASE_SECONDS = 60  # longer than a publish takes, or a hand-over without files: with files two workers may be at it
HAND_OVER_SECONDS = 45  # then an adapter has failed: one that hangs must not hold up the other offices' messages
HAND_OVER_SLOW_SECONDS = 5  # an adapter that takes so long is served apart; one that fails so late, not for a while
HAND_OVER_PAUSE_SECONDS = 60  # in which the other offices' messages have their turn
PUBLISH_SLOW_SECONDS = 5  # a country whose queue takes so long to fail waits apart from all others
DISPATCH_BATCH = 32  # entries
DELIVER_BATCH = 32  # entries
WATCH_BATCH = 200  # entries
REMIND_BATCH = 200  # procedures
RETRY_MIN_SECONDS = 1
RETRY_MAX_SECONDS = 300
# Without a connection, which comes back by itself: all that waits leaves soon, and about as it was written. But over one, a
# queue that confirms nothing costs each attempt its time and perhaps a copy: so often, it would hold up all other countries.
RETRY_TRANSPORT_MAX_SECONDS = 30
ATTENTION_AFTER_ATTEMPTS = 5  # about half a minute of trying

# A retry cannot mend these: a person is called at the first failure. The entry is tried on all the same.
_CALL_AT_ONCE = (
    CaseKeyMissing,
    CatalogueInvalid,
    DiskFull,
    HomeInvalid,
    KeyMissing,
    SettingsInvalid,
    StoreCorrupt,
    StoreNeedsMigration,
    TrustListExpired,
    TrustListInvalid,
    Unroutable,
    VaultLocked,
)


# --- trying again ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """When the next attempt is made, and whether a person is told now."""

    next_at: datetime
    call_person: bool


def is_due(next_at: datetime, now: datetime) -> bool:
    """Whether that moment has come, or can only have been written before a clock was set right."""
    return not now < next_at <= now + timedelta(seconds=AHEAD_SECONDS)


def is_recent(moment: datetime, now: datetime, seconds: float) -> bool:
    """Whether that moment lies less than so long behind; one that lies ahead was written before a clock was set right."""
    return timedelta(0) <= now - moment < timedelta(seconds=seconds)


def retry(
    attempts: int, error: BrokerError, *, now: datetime, jitter: float, before: str | None = None
) -> RetryDecision:
    """Return the decision after one more failure; it never gives up.

    Args:
        attempts: failures before this one.
        error: why it failed.
        now: the current time.
        jitter: a random number in [0, 1): full jitter, so that a thousand entries do not come back at once.
        before: code of the failure before this one, where it is known.
    """
    away = isinstance(error, TransportUnavailable) or (
        isinstance(error, PublishUnconfirmed)
        and before == TransportUnavailable.code  # a broker that is just coming back
    )
    longest = RETRY_TRANSPORT_MAX_SECONDS if away else RETRY_MAX_SECONDS
    doublings = min(attempts, RETRY_MAX_SECONDS.bit_length())
    ceiling = min(RETRY_MIN_SECONDS * 2 ** (doublings + 1), longest)
    hopeless = isinstance(error, _CALL_AT_ONCE) or not isinstance(error, NodeError)
    if hopeless:
        ceiling = RETRY_MAX_SECONDS  # nothing changes within seconds; a person mends it within minutes at best
    wait = RETRY_MIN_SECONDS + jitter * (ceiling - RETRY_MIN_SECONDS)
    return RetryDecision(
        next_at=now + timedelta(seconds=wait),
        call_person=hopeless or attempts + 1 >= ATTENTION_AFTER_ATTEMPTS,
    )


# --- the evidence ladder --------------------------------------------------------------------------------------------


class LadderStep(StrEnum):
    """The step that an entry has reached and waits on; values are those of the outbox states."""

    PUBLISHED = "published"  # waits for delivered
    DELIVERED = "delivered"  # waits for handed over
    HANDED_OVER = "handed-over"  # waits for opened


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLimit:
    """After how long one step is late, and after how long it counts as failed.

    Raises:
        ValueError: not 0 < warn ≤ fail.
    """

    warn: timedelta
    fail: timedelta

    def __post_init__(self) -> None:
        if not timedelta(0) < self.warn <= self.fail:
            raise ValueError("warn must be positive and not after fail")


def _hours(warn: int, fail: int) -> StepLimit:
    return StepLimit(warn=timedelta(hours=warn), fail=timedelta(hours=fail))


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderLimits:
    """When each step of the evidence ladder is overdue."""

    published: StepLimit = field(default_factory=lambda: _hours(1, 12))
    delivered: StepLimit = field(default_factory=lambda: _hours(12, 24))
    handed_over: StepLimit = field(default_factory=lambda: _hours(24, 36))

    def of(self, step: str) -> StepLimit:
        """Return the limits of a step.

        Raises:
            ValueError: nothing waits in that state.
        """
        match LadderStep(step):
            case LadderStep.PUBLISHED:
                return self.published
            case LadderStep.DELIVERED:
                return self.delivered
            case LadderStep.HANDED_OVER:
                return self.handed_over


# --- why a person decides -----------------------------------------------------------------------------------------


class ResendReason(StrEnum):
    """Why a message is sent again; a code, so that no free text about a case reaches the audit trail."""

    NO_ANSWER = "no-answer"  # overdue, and nobody there could be reached
    PEER_ASKED = "peer-asked"  # the other country says that it lacks the message
    PEER_RESTORED = "peer-restored"  # the other country's node came back from a backup
    FAULT_MENDED = "fault-mended"  # what kept it from arriving is mended
    EVIDENCE_MISSING = "evidence-missing"  # it arrived, and its later receipts did not
    SIGN_OF_LOSS = "sign-of-loss"  # by itself: the other country answered something that was published later

    @classmethod
    def of_people(cls) -> tuple[ResendReason, ...]:
        """Return the reasons that a person may give."""
        return tuple(reason for reason in cls if reason is not cls.SIGN_OF_LOSS)


class ReleaseReason(StrEnum):
    """Why a second person lets a held message leave; a code, so that no free text about a case reaches the audit trail."""

    CHECKED = "checked"  # looked at it with its author, and the concern does not arise
    GUARDIAN_AND_LAWYER = "guardian-and-lawyer"  # they decided
    CHILD_INFORMED = "child-informed"  # the child was told and heard since
    REQUIRED_BY_LAW = "required-by-law"  # a duty to send leaves no choice
    PROTECTION = "protection"  # not sending would be the greater danger


class RejectReason(StrEnum):
    """Why a second person does not let a held message leave."""

    NOT_SAFE = "not-safe"
    NOT_COMPLETE = "not-complete"
    NOT_NEEDED = "not-needed"
    CHILD_OBJECTS = "child-objects"
