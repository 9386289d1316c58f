# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot be opened or believed, or not yet."""

from __future__ import annotations

from broker.core.families import Actor, Fate, UntrustedError

__all__ = [
    "AttachmentSpoiled",
    "BadSignature",
    "ChunkShape",
    "ChunkUnknown",
    "ClockAhead",
    "ContentShape",
    "DecryptFailed",
    "EnvelopeHeader",
    "EnvelopeMembers",
    "FieldLength",
    "HeaderMismatch",
    "IdReused",
    "KeyExpired",
    "KeyNotYetValid",
    "KeyRevoked",
    "NotCanonical",
    "NotForUs",
    "NotHealed",
    "OwnKeyMissing",
    "Padding",
    "SenderSuspended",
    "SignatureShape",
    "TooLarge",
    "TrustListStale",
    "UnknownAuthority",
    "UnknownKey",
    "UnknownRecipientKey",
    "UnknownSchemaVersion",
    "UnknownSender",
    "UnsupportedEnvelopeVersion",
    "WrongMemberKey",
]

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


class NotHealed(UntrustedError):
    """This node was restored from a backup: this waits, an hour at most, for messages of our own that are not back yet."""

    code = "not-healed"
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
