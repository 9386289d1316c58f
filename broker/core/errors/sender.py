# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What an author must change."""

from __future__ import annotations

from broker.core.families import Actor, SenderError

__all__ = [
    "AlreadySettled",
    "AmbiguousMessage",
    "AttachmentIncomplete",
    "AttachmentRefused",
    "AuthorityKeyEnded",
    "AuthorityKeyMissing",
    "BadCursor",
    "BadRequest",
    "BasisNotAllowed",
    "CaseErased",
    "CaseOpen",
    "CorrectionPending",
    "ErasureChanged",
    "ExerciseMismatch",
    "Expired",
    "ExpiryTooFar",
    "Forbidden",
    "HeaderInvalid",
    "IdempotencyConflict",
    "LegalHold",
    "MessageErased",
    "MessagesOwed",
    "MethodNotAllowed",
    "NewerMessages",
    "NotAllowed",
    "NotArranged",
    "NotFound",
    "NotParticipant",
    "ProcedureMismatch",
    "RecipientSuspended",
    "RecordFull",
    "RequestTooLarge",
    "SafeguardBlocked",
    "SafeguardHeld",
    "SchemaInvalid",
    "SealedPartRefused",
    "TooLargeToSend",
    "TooManyCases",
    "Unauthenticated",
    "UnknownRecipient",
    "UnknownType",
    "UnsupportedMediaType",
    "UploadConflict",
    "VersionNotSupported",
]


class SchemaInvalid(SenderError):
    """The body does not fit the schema of its message type and version."""

    code = "schema-invalid"


class HeaderInvalid(SenderError):
    """The content header does not fit the header schema."""

    code = "header-invalid"


class UnknownType(SenderError):
    """This node does not know a message type of that name."""

    code = "unknown-type"


class VersionNotSupported(SenderError):
    """The recipient does not list this version of the message type."""

    code = "version-not-supported"


class ProcedureMismatch(SenderError):
    """The message does not fit its procedure: other members, another table, another case reference or a closed start."""

    code = "procedure-mismatch"


class NotParticipant(SenderError):
    """That office takes no part in the procedure, or only observes it."""

    code = "not-participant"
    http_status = 409
    who = Actor.CALLER


class NotAllowed(SenderError):
    """The procedure's state does not allow this act by this side now."""

    code = "not-allowed"
    http_status = 409
    who = Actor.CALLER


class RecordFull(SenderError):
    """The procedure's record is full: stops, facts and closing an alarm still fit; all else goes on in a new one."""

    code = "record-full"
    http_status = 409
    who = Actor.CALLER


class AmbiguousMessage(SenderError):
    """Several messages have this id; the peer or the direction says which one is meant."""

    code = "ambiguous-message"
    http_status = 409
    who = Actor.CALLER


class AlreadySettled(SenderError):
    """The message needs no sending again: it was read or refused by the other country."""

    code = "already-settled"
    http_status = 409
    who = Actor.CALLER


class SealedPartRefused(SenderError):
    """A sealed part is not of its one form, sealed to somebody else's key, or made for another message or place."""

    code = "sealed-part-refused"


class AuthorityKeyMissing(SenderError):
    """The receiving office has no key that something could be sealed to; its country's officers list one."""

    code = "authority-key-missing"
    http_status = 409
    who = Actor.FEDERATION


class AuthorityKeyEnded(SenderError):
    """A part is sealed to a key of the receiving office that is revoked or past its time; its author seals it anew."""

    code = "authority-key-ended"
    http_status = 409


class BasisNotAllowed(SenderError):
    """The legal basis is not one that this message type may rest on."""

    code = "basis-not-allowed"


class SafeguardBlocked(SenderError):
    """A safeguard forbids sending this; nobody can release it, only other facts can."""

    code = "safeguard-blocked"
    who = Actor.CALLER


class SafeguardHeld(SenderError):
    """A safeguard wants a second person to decide before this is sent."""

    code = "safeguard-held"
    who = Actor.CALLER


class NewerMessages(SenderError):
    """Messages left or came since the held one was written: look at them, and release it naming each as seen."""

    code = "newer-messages"
    http_status = 409
    who = Actor.CALLER


class ExerciseMismatch(SenderError):
    """An exercise message in a real procedure or on a node in service, or the reverse."""

    code = "exercise-mismatch"


class Expired(SenderError):
    """The envelope's expiry has passed; the sender seals the same message anew."""

    code = "expired"


class ExpiryTooFar(SenderError):
    """The envelope's expiry lies further ahead than the protocol allows; the sender mends its setting and seals anew."""

    code = "expiry-too-far"


class UnknownRecipient(SenderError):
    """The addressed country or authority is not in the trust list."""

    code = "unknown-recipient"
    who = Actor.CALLER


class RecipientSuspended(SenderError):
    """The addressed country is suspended in the trust list."""

    code = "recipient-suspended"
    who = Actor.CALLER


class NotArranged(SenderError):
    """The federation keeps a register of arrangements, and none covers this procedure between the two countries."""

    code = "not-arranged"
    who = Actor.FEDERATION


class TooLargeToSend(SenderError):
    """The message is larger than the largest envelope; larger content goes as attachment."""

    code = "too-large-to-send"
    http_status = 413
    who = Actor.CALLER


class AttachmentRefused(SenderError):
    """An attachment's type, name, size or content is not one that may travel."""

    code = "attachment-refused"


class AttachmentIncomplete(SenderError):
    """The attachment's bytes have not all come yet, or not all been uploaded."""

    code = "attachment-incomplete"
    http_status = 409
    who = Actor.CALLER


class UploadConflict(SenderError):
    """The bytes do not continue the upload where it stands: ask for its offset and go on from there."""

    code = "upload-conflict"
    http_status = 409
    who = Actor.CALLER


class IdempotencyConflict(SenderError):
    """The same idempotency key came with another body."""

    code = "idempotency-conflict"
    http_status = 409
    who = Actor.CALLER


class BadRequest(SenderError):
    """The request is malformed."""

    code = "bad-request"
    http_status = 400
    who = Actor.CALLER


class BadCursor(SenderError):
    """The page cursor is not one that this node gave out."""

    code = "bad-cursor"
    http_status = 400
    who = Actor.CALLER


class RequestTooLarge(SenderError):
    """The request body is larger than this node takes."""

    code = "request-too-large"
    http_status = 413
    who = Actor.CALLER


class Unauthenticated(SenderError):
    """No valid access token came with the request."""

    code = "unauthenticated"
    http_status = 401
    who = Actor.CALLER


class Forbidden(SenderError):
    """The token's role or authority does not permit this."""

    code = "forbidden"
    http_status = 403
    who = Actor.CALLER


class TooManyCases(SenderError):
    """This person opened more cases in an hour than casework needs: a security officer looks at it first (R-38)."""

    code = "too-many-cases"
    http_status = 403
    who = Actor.SECURITY


class NotFound(SenderError):
    """There is no such thing here, or it belongs to another authority."""

    code = "not-found"
    http_status = 404
    who = Actor.CALLER


class CaseErased(SenderError):
    """What the message belongs to was erased here; a new procedure may begin, this one goes on no more."""

    code = "case-erased"
    http_status = 410
    who = Actor.CALLER


class MessageErased(SenderError):
    """The message was erased here: its content is gone, its times and receipts stay."""

    code = "message-erased"
    http_status = 410
    who = Actor.CALLER


class LegalHold(SenderError):
    """The case is under a legal hold: nothing of it is erased until a person releases that."""

    code = "legal-hold"
    http_status = 409
    who = Actor.CALLER


class CaseOpen(SenderError):
    """A procedure of the case, or one that it corrects, is still open: only a court's or an authority's order erases it now."""

    code = "case-open"
    http_status = 409
    who = Actor.CALLER


class MessagesOwed(SenderError):
    """Messages of the case are not delivered, or not taken by anybody here, yet."""

    code = "messages-owed"
    http_status = 409
    who = Actor.CALLER


class CorrectionPending(SenderError):
    """A correction, restriction, erasure or claim about the case is not answered yet."""

    code = "correction-pending"
    http_status = 409
    who = Actor.CALLER


class ErasureChanged(SenderError):
    """Something came or went since the erasure was proposed: look at the list again and propose it anew."""

    code = "erasure-changed"
    http_status = 409
    who = Actor.CALLER


class MethodNotAllowed(SenderError):
    """The resource does not answer to this method."""

    code = "method-not-allowed"
    http_status = 405
    who = Actor.CALLER


class UnsupportedMediaType(SenderError):
    """The request body is not application/json."""

    code = "unsupported-media-type"
    http_status = 415
    who = Actor.CALLER
