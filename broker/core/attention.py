# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a person is called for: a closed list, so that what is stored under a code keeps its meaning for good."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from broker.core.delivery import LadderStep
from broker.core.errors import Actor
from broker.core.ids import CountryCode, MessageId

__all__ = ["WAITS_STILL", "AttentionCode", "message_subject"]

WAITS_STILL = "It has waited for an hour, and no attempt says why: the health of the node and its other calls do."


class AttentionCode(StrEnum):
    """Why a person is called, who must act, and what it means; a sentence about the thing, never about a child."""

    who: Actor
    meaning: str

    def __new__(cls, code: str, who: Actor, meaning: str) -> Self:
        """Make a member that is its code and carries who must act and what it means."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.who = who
        member.meaning = meaning
        return member

    NOT_SENT = "not-sent", Actor.OPERATOR, "A message could not be handed to the message broker; it is tried on."
    NOT_HANDED_OVER = (
        "not-handed-over", Actor.OPERATOR, "The national system did not take a received message; it is tried on.",
    )  # fmt: skip
    OVERDUE_DELIVERED = (
        "overdue-delivered", Actor.OPERATOR, "The other country has not confirmed a message that was sent to it.",
    )  # fmt: skip
    FAILED_DELIVERED = (
        "failed-delivered", Actor.CALLER,
        "The other country still has not confirmed a message: telephone its duty office.",
    )  # fmt: skip
    OVERDUE_HANDED_OVER = (
        "overdue-handed-over", Actor.SENDER, "The other country's system has not taken a delivered message yet.",
    )  # fmt: skip
    FAILED_HANDED_OVER = (
        "failed-handed-over", Actor.CALLER,
        "The other country's system still has not taken a message: telephone its duty office.",
    )  # fmt: skip
    OVERDUE_OPENED = "overdue-opened", Actor.SENDER, "No officer of the other country has opened a message yet."
    FAILED_OPENED = (
        "failed-opened", Actor.CALLER,
        "No officer of the other country opened a message in time: telephone its duty office.",
    )  # fmt: skip
    DEADLINE_SOON = "deadline-soon", Actor.CALLER, "A deadline of this country is due soon."
    DEADLINE_OVERDUE = "deadline-overdue", Actor.CALLER, "A deadline of this country is overdue."
    ANSWER_OVERDUE = (
        "answer-overdue", Actor.CALLER, "The other country's answer is overdue; silence is never an answer.",
    )  # fmt: skip
    UNREAD = "unread", Actor.CALLER, "No officer of this office has opened a received message yet."
    UNREAD_LONG = (
        "unread-long", Actor.CALLER, "No officer of this office opened a received message in time: the sender is told too.",
    )  # fmt: skip
    UNDECIDED = (
        "undecided", Actor.OPERATOR,
        "Something that came cannot be decided because of a fault of this node; it is tried on, and nobody is answered.",
    )  # fmt: skip
    UNREADABLE = (
        "unreadable", Actor.OPERATOR,
        "What is stored of a procedure does not open, and nobody watches its deadlines: restore it from the newest backup.",
    )  # fmt: skip
    UNSEARCHABLE = (
        "unsearchable", Actor.OPERATOR,
        "What is stored of a procedure does not open, and a search for its people does not find it: restore it from the newest backup.",
    )  # fmt: skip
    KEY_STUCK = (
        "key-stuck", Actor.OPERATOR,
        "The key of a case does not open: restore it from the newest backup, or erase the case; until then no erasure may be final.",
    )  # fmt: skip
    NODE_KEY_RENEWED = (
        "node-key-renewed", Actor.OPERATOR,
        "The key of what nodes tell each other did not open, and another took its place: look at the disk, then close this.",
    )  # fmt: skip
    REFUSED = "refused", Actor.CALLER, "The other country refused a message; its author must change it or withdraw."
    SURGE_OWED = (
        "surge-owed", Actor.CALLER, "Surge mode let something wait that is still owed: do it, and close this.",
    )  # fmt: skip
    HELD = "held", Actor.CALLER, "A message waits for a second person, who releases or rejects it: trm held list."
    HELD_OVERTAKEN = (
        "held-overtaken", Actor.CALLER,
        "Messages left or came in the case of one that waits for a second person: look at them before it is released.",
    )  # fmt: skip
    HOLD_EXPIRED = "hold-expired", Actor.CALLER, "Nobody decided about a held message in time; it was not sent."
    HANDED_ON = (
        "handed-on", Actor.CALLER, "This office takes over a procedure: read it, and name who looks after it.",
    )  # fmt: skip
    NOT_COMPETENT = (
        "not-competent", Actor.CALLER,
        "The trust list names another office for this legal basis: forward the procedure where it is of this country (forward-notice).",
    )  # fmt: skip
    ENQUIRY_TOO_FAR = (
        "enquiry-too-far", Actor.CALLER,
        "The other side enquired further than this office allowed: read its answer at once, and protect whom it may endanger.",
    )  # fmt: skip
    ADULT_AGAIN = (
        "adult-again", Actor.CALLER,
        "A received message is about an adult who came with another child in a case of this node: look at both; tell no other country.",
    )  # fmt: skip
    ALARM = "alarm", Actor.CALLER, "Something happened that the record did not allow: both sides look and close it."
    GAP = "gap", Actor.OPERATOR, "An earlier message of a procedure is missing; later ones wait for it."
    FORKED = (
        "forked", Actor.SECURITY,
        "A message ignores what its author had sent or confirmed before; it is kept and has no effect.",
    )  # fmt: skip
    DIVERGENCE = "divergence", Actor.SECURITY, "The two countries' records of a procedure differ."
    CONTRADICTION = (
        "contradiction", Actor.SECURITY, "The other country both took and refused one message; its first answer stands.",
    )  # fmt: skip
    STRANGE_RECEIPT = "strange-receipt", Actor.SECURITY, "A receipt came for something that was never sent so."
    ATTACHMENT_LATE = (
        "attachment-late", Actor.CALLER,
        "An attachment of a received message has not come whole, though it was asked for: telephone its sender.",
    )  # fmt: skip
    ATTACHMENT_SPOILED = (
        "attachment-spoiled", Actor.SECURITY,
        "An attachment of a received message is not what the message says; it was deleted, and the message counts as not delivered.",
    )  # fmt: skip
    SEALED_TO_ANOTHER = (
        "sealed-to-another", Actor.CALLER,
        "This office cannot open a sealed attachment of a received message: ask its sender to seal it anew, to this office.",
    )  # fmt: skip
    ID_REUSED = "id-reused", Actor.SECURITY, "A known message id came again with other content."
    BULK_READING = (
        "bulk-reading", Actor.SECURITY,
        "One person opened more cases in an hour than casework needs, and is shown no further one until this is closed.",
    )  # fmt: skip
    MANY_PROCEDURES = (
        "many-procedures", Actor.SECURITY,
        "Another country opened far more procedures here in a day than it usually does: telephone it, or have the federation suspend it.",
    )  # fmt: skip
    AUDIT_BROKEN = (
        "audit-broken", Actor.SECURITY,
        "This node's audit trail is not the one whose head was signed: somebody wrote into its database. Run trm audit verify.",
    )  # fmt: skip
    AUDIT_CONTRADICTED = (
        "audit-contradicted", Actor.SECURITY,
        "What another country signed of its audit trail contradicts what it signed before: it was restored or rewritten.",
    )  # fmt: skip
    HEALING = (
        "healing", Actor.OPERATOR,
        "This node was restored from a backup and asks that country what it misses; nothing is sent there before it answers.",
    )  # fmt: skip
    HEALING_INCOMPLETE = (
        "healing-incomplete", Actor.OPERATOR,
        "Something that passed after the backup could not be got back from that country: trm healing names it.",
    )  # fmt: skip
    PEER_RESTORED = (
        "peer-restored", Actor.SECURITY,
        "Another country says that its node was restored from a backup: its audit trail goes on behind an earlier place.",
    )  # fmt: skip
    PARKED = "parked", Actor.FEDERATION, "Something came that still cannot be believed; it is offered again and again."
    ADAPTER_STOPPED = "adapter-stopped", Actor.OPERATOR, "An adapter ended by a fault; it is started again."
    NODE_UNWELL = "node-unwell", Actor.OPERATOR, "One of this node's own health checks keeps failing."
    CATALOGUE = (
        "catalogue", Actor.OPERATOR,
        "The federation has signed another message catalogue: restart this node, so that it speaks that version.",
    )  # fmt: skip
    BROKER_CERTIFICATE = (
        "broker-certificate", Actor.OPERATOR,
        "This node's certificate for the message broker ends soon, or a renewed one cannot be used.",
    )  # fmt: skip
    CLOCK = (
        "clock", Actor.OPERATOR,
        "A message says that it was made in the future: compare this node's clock with the time, then its sender's.",
    )  # fmt: skip
    QUARANTINED = "quarantined", Actor.SECURITY, "Something came that cannot be believed; it is kept sealed."
    BELIEVED_REVOKED = (
        "believed-revoked", Actor.SECURITY,
        "Messages were believed under a key after it was revoked, before the list that says so came: look at each again.",
    )  # fmt: skip
    OWN_KEY_MISSING = (
        "own-key-missing", Actor.OPERATOR,
        "Messages come under a key of this country that its vault does not hold: restore the vault, or revoke the key.",
    )  # fmt: skip
    TRUST_LIST = "trust-list", Actor.FEDERATION, "The newer trust list cannot be used; the previous one is in force."
    TRUST_MEMBER = (
        "trust-member", Actor.FEDERATION,
        "A country's newer entry in the trust list cannot be used; its previous one is in force.",
    )  # fmt: skip
    TRUST_NEWER = (
        "trust-newer", Actor.OPERATOR,
        "The federation signed a document that this program cannot read; its previous one is in force: upgrade this node.",
    )  # fmt: skip
    TRUST_EXPIRING = (
        "trust-expiring", Actor.FEDERATION,
        "The trust list, or a country's entry in it, runs out or has run out; sending stops some days after.",
    )  # fmt: skip
    TRUST_SOURCE = "trust-source", Actor.OPERATOR, "The source of the trust list has not answered for a day."

    REVIEW_DUE = (
        "review-due", Actor.CALLER, "Nothing new came for long: keep the case on for a reason, or propose its erasure.",
    )  # fmt: skip
    ERASURE_WAITS = (
        "erasure-waits", Actor.CALLER, "An erasure waits for a second person, who confirms or rejects it: trm case erasures.",
    )  # fmt: skip
    ERASURE_LAPSED = "erasure-lapsed", Actor.CALLER, "Nobody confirmed an erasure in time; nothing was erased."
    ERASURE_ASKED = (
        "erasure-asked", Actor.CALLER,
        "Another country asks to erase what it sent: erase it, or report why it is kept. Nothing is erased by itself.",
    )  # fmt: skip
    NOT_ERASED = (
        "not-erased", Actor.OPERATOR, "An adapter has not removed its copies of an erased case; it is asked on.",
    )  # fmt: skip

    @classmethod
    def for_overdue(cls, step: str, *, failed: bool) -> AttentionCode:
        """Return the code for an entry that waits too long on a step.

        Raises:
            ValueError: nothing waits in that state.
        """
        awaited = {
            LadderStep.PUBLISHED: (cls.OVERDUE_DELIVERED, cls.FAILED_DELIVERED),
            LadderStep.DELIVERED: (cls.OVERDUE_HANDED_OVER, cls.FAILED_HANDED_OVER),
            LadderStep.HANDED_OVER: (cls.OVERDUE_OPENED, cls.FAILED_OPENED),
        }
        return awaited[LadderStep(step)][failed]

    @classmethod
    def about_held(cls) -> tuple[AttentionCode, ...]:
        """Return the codes of calls about a held message that end when it waits no more."""
        return (cls.HELD, cls.HELD_OVERTAKEN)

    @classmethod
    def ended_by_receipt(cls) -> tuple[AttentionCode, ...]:
        """Return the codes of calls about a message that a receipt for it resolves."""
        late = (cls.for_overdue(step, failed=failed) for step in LadderStep for failed in (False, True))
        return (*late, cls.NOT_SENT)


def message_subject(author: CountryCode, message: MessageId) -> str:
    """Return what a call about a message names: two countries may give one id, and each call is about one message."""
    return f"{author}/{message}"
