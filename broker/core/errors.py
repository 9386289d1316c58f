# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Every refusal and failure of the product, in one tree drawn by who must act.

::

    BrokerError
    ├── SenderError      the content is refused; its author must change it      → signed refusal / HTTP 4xx
    ├── UntrustedError   it cannot be opened or believed                        → quarantine or park, no receipt
    └── NodeError        our own fault or our surroundings'; nothing is refused → retry, attention, HTTP 5xx

Each leaf has a stable ``code`` (never renamed: peers and callers store it) and its docstring is the default message.
A message never carries a value from a message's content (promise P5). Misuse by a programmer is RuntimeError.
"""

from __future__ import annotations

from collections.abc import Iterator

from broker.core.families import Actor, BrokerError, Fate, NodeError, SenderError, UntrustedError

__all__ = [
    "Actor", "AdapterFailed", "AlreadySettled", "AmbiguousMessage", "AttachmentIncomplete", "AttachmentRefused",
    "AttachmentSpoiled", "BadCursor", "BadRequest", "BadSignature", "BasisNotAllowed", "BrokerError", "CaseErased",
    "CatalogueInvalid", "CeremonyRefused", "ChunkShape", "ChunkUnknown", "ClockAhead", "ClockWrong", "ContentShape",
    "DecryptFailed", "DiskFull", "EnvelopeHeader", "EnvelopeMembers", "ExerciseMismatch", "Expired", "ExpiryTooFar",
    "Fate", "FieldLength", "Forbidden", "HeaderInvalid", "HeaderMismatch", "HomeInvalid", "IdReused",
    "IdempotencyConflict", "Internal", "IssuerUnavailable", "KeyExpired", "KeyMissing", "KeyNotYetValid",
    "KeyRevoked", "LeaseLost", "MethodNotAllowed", "NodeError", "NotAllowed", "NotArranged", "NotCanonical",
    "NotForUs", "NotFound", "NotParticipant", "Overloaded", "OwnKeyMissing", "Padding", "ProcedureMismatch",
    "PublishRefused", "PublishUnconfirmed", "RecipientSuspended", "RecordFull", "RequestTooLarge", "SafeguardBlocked",
    "SafeguardHeld", "SchemaInvalid", "SenderError", "SenderSuspended", "SettingsInvalid", "SignatureShape",
    "StoreCorrupt", "StoreNeedsMigration", "StoreUnavailable", "TooLarge", "TooLargeToSend", "TransportUnavailable",
    "TrustListExpired", "TrustListInvalid", "TrustListStale", "Unauthenticated", "UnknownAuthority", "UnknownKey",
    "UnknownRecipient", "UnknownRecipientKey", "UnknownSchemaVersion", "UnknownSender", "UnknownType", "Unroutable",
    "UnsupportedEnvelopeVersion", "UnsupportedMediaType", "UntrustedError", "UploadConflict", "VaultLocked",
    "VersionNotSupported", "WrongMemberKey", "by_code", "every_error",
]  # fmt: skip

# --- SenderError: what an author must change ------------------------------------------------------------------------


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


class NotFound(SenderError):
    """There is no such thing here, or it belongs to another authority."""

    code = "not-found"
    http_status = 404
    who = Actor.CALLER


class CaseErased(SenderError):
    """What the message belongs to was erased here; a new procedure may begin, this one goes on no more."""

    code = "case-erased"
    http_status = 410
    who = Actor.SENDER


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


# --- UntrustedError: unbelievable (quarantine) ----------------------------------------------------------------------


class TooLarge(UntrustedError):
    """The envelope is larger than the largest allowed one."""

    code = "too-large"


class NotCanonical(UntrustedError):
    """The bytes are not canonical JSON as the protocol restricts it."""

    code = "not-canonical"


class EnvelopeMembers(UntrustedError):
    """The envelope does not have exactly the members of version 1, each a non-empty base64url text."""

    code = "envelope-members"


class EnvelopeHeader(UntrustedError):
    """The protected header of the encryption is not the one fixed shape of version 1."""

    code = "envelope-header"


class UnsupportedEnvelopeVersion(UntrustedError):
    """The envelope says another version than 1."""

    code = "unsupported-envelope-version"


class NotForUs(UntrustedError):
    """The envelope is addressed to another member."""

    code = "not-for-us"


class UnknownRecipientKey(UntrustedError):
    """The envelope is sealed to a key that this node does not hold (any more)."""

    code = "unknown-recipient-key"


class FieldLength(UntrustedError):
    """A cryptographic field does not have its fixed length."""

    code = "field-length"


class DecryptFailed(UntrustedError):
    """The envelope does not open."""

    code = "decrypt-failed"


class Padding(UntrustedError):
    """The padding is not spaces up to one of the allowed lengths."""

    code = "padding"


class SignatureShape(UntrustedError):
    """The signed object is not the one fixed shape of version 1."""

    code = "signature-shape"


class HeaderMismatch(UntrustedError):
    """The profile header of encryption and signatures, or the content header, differ."""

    code = "header-mismatch"


class WrongMemberKey(UntrustedError):
    """A signature is by a key of another member than the stated sender, or by a key of another use."""

    code = "wrong-member-key"


class KeyExpired(UntrustedError):
    """A signing key is past the time until which it is accepted."""

    code = "key-expired"


class KeyRevoked(UntrustedError):
    """A signing key is revoked."""

    code = "key-revoked"


class BadSignature(UntrustedError):
    """A signature does not verify."""

    code = "bad-signature"


class ContentShape(UntrustedError):
    """The signed content is not an object of header and body."""

    code = "content-shape"


class IdReused(UntrustedError):
    """A known message id came again with other content."""

    code = "id-reused"


class ChunkShape(UntrustedError):
    """The bytes are not a chunk of an attachment in the one fixed shape of version 1."""

    code = "chunk-shape"
    fate = Fate.DROP


class AttachmentSpoiled(UntrustedError):
    """The bytes of an attachment, whole, are not what its message says of them."""

    code = "attachment-spoiled"
    fate = Fate.DROP


class ChunkUnknown(UntrustedError):
    """The chunk belongs to no attachment of the message that it names."""

    code = "chunk-unknown"
    fate = Fate.DROP


# --- UntrustedError: not yet believable (parked) --------------------------------------------------------------------


class UnknownSender(UntrustedError):
    """The sending country is not in this node's trust list."""

    code = "unknown-sender"
    fate = Fate.PARK
    who = Actor.FEDERATION


class UnknownAuthority(UntrustedError):
    """The sending office is not among those that the trust list names for its country."""

    code = "unknown-authority"
    fate = Fate.PARK
    who = Actor.FEDERATION


class SenderSuspended(UntrustedError):
    """The sending country is suspended in the trust list."""

    code = "sender-suspended"
    fate = Fate.PARK
    who = Actor.FEDERATION


class UnknownKey(UntrustedError):
    """A signature is by a key that this node's trust list does not know."""

    code = "unknown-key"
    fate = Fate.PARK


class KeyNotYetValid(UntrustedError):
    """A signing key is not valid yet."""

    code = "key-not-yet-valid"
    fate = Fate.PARK


class ClockAhead(UntrustedError):
    """The message says it was made more than ten minutes in the future."""

    code = "clock-ahead"
    fate = Fate.PARK


class TrustListStale(UntrustedError):
    """It would be refused by a trust list that was last asked for before it came; a newer one is asked for first."""

    code = "trust-list-stale"
    fate = Fate.PARK
    who = Actor.OPERATOR


class OwnKeyMissing(UntrustedError):
    """The envelope is sealed to a key that the trust list gives for this node, and its vault does not hold it."""

    code = "own-key-missing"
    fate = Fate.PARK
    who = Actor.OPERATOR


class UnknownSchemaVersion(UntrustedError):
    """The message type's version is newer than this node's catalogue."""

    code = "unknown-schema-version"
    fate = Fate.PARK


# --- NodeError: what an operator of this node must mend -------------------------------------------------------------


class SettingsInvalid(NodeError):
    """The settings file cannot be read or says something impossible."""

    code = "settings-invalid"


class HomeInvalid(NodeError):
    """The node's home folder is missing or incomplete."""

    code = "home-invalid"


class KeyMissing(NodeError):
    """The vault does not hold a key that the trust list gives for this node, or that its stored data needs."""

    code = "key-missing"


class VaultLocked(NodeError):
    """The vault does not open with the passphrase given."""

    code = "vault-locked"


class CertificateInvalid(NodeError):
    """A certificate for the message broker cannot be used."""

    code = "certificate-invalid"


class TrustListInvalid(NodeError):
    """The trust list cannot be read; the previous one stays in force."""

    code = "trust-list-invalid"
    who = Actor.FEDERATION

    def __init__(self, detail: str | None = None, *, where: str | None = None, rule: str | None = None) -> None:
        """Args:
        detail: one sentence for people.
        where: file or place in a document.
        rule: the `core.trust.TrustRule` that was broken; None: the document's form.
        """
        super().__init__(detail, where=where)
        self.rule = rule or "document"


class TrustListExpired(NodeError):
    """The trust list ran out too long ago: sending waits until the federation has renewed it."""

    code = "trust-list-expired"
    who = Actor.FEDERATION


class CeremonyRefused(NodeError):
    """The trust repository does not take this step as it stands."""

    code = "ceremony-refused"
    who = Actor.FEDERATION
    http_status = 409


class CatalogueInvalid(NodeError):
    """A schema or procedure table cannot be used."""

    code = "catalogue-invalid"


class StoreUnavailable(NodeError):
    """The database does not answer."""

    code = "store-unavailable"


class StoreNeedsMigration(NodeError):
    """The database has another schema version than this program."""

    code = "store-needs-migration"


class StoreCorrupt(NodeError):
    """The database holds something that this program did not write; restore it from a backup."""

    code = "store-corrupt"


class DiskFull(NodeError):
    """There is no room left on the disk."""

    code = "disk-full"


class LeaseLost(NodeError):
    """Another worker took over this item."""

    code = "lease-lost"


class TransportUnavailable(NodeError):
    """The message broker or spool cannot be reached."""

    code = "transport-unavailable"


class Unroutable(NodeError):
    """The message broker has no queue for that country."""

    code = "unroutable"


class PublishRefused(NodeError):
    """The message broker did not take the message: its queue is full or it may not be written."""

    code = "publish-refused"


class PublishUnconfirmed(NodeError):
    """The message broker did not confirm in time; the outcome is unknown and the same bytes are sent again."""

    code = "publish-unconfirmed"


class ClockWrong(NodeError):
    """This machine's clock differs from its peers' by more than is tolerable."""

    code = "clock-wrong"


class AdapterFailed(NodeError):
    """The national system's adapter did not take the message."""

    code = "adapter-failed"


class Overloaded(NodeError):
    """This node is busy; try again shortly."""

    code = "overloaded"


class IssuerUnavailable(NodeError):
    """The issuer of access tokens cannot be reached, so no token of it can be checked."""

    code = "issuer-unavailable"


class Internal(NodeError):
    """Something unforeseen went wrong; the reference number finds it in this node's log."""

    code = "internal"
    http_status = 500


def every_error() -> Iterator[type[BrokerError]]:
    """Yield each leaf defined here, families in the order of the docstring, leaves in the order of definition.

    Tools beside the node (demonstration, provisioning of tests) have failures of their own that no peer or caller sees.
    """
    for family in (SenderError, UntrustedError, NodeError):
        yield from (error for error in family.__subclasses__() if error.__module__ == __name__)


def by_code() -> dict[str, type[BrokerError]]:
    """Return the tree's leaves by their stable code."""
    return {error.code: error for error in every_error()}
