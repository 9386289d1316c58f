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

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from broker.core.errors.node import (
    AdapterFailed,
    BackupInvalid,
    CaseKeyMissing,
    CatalogueInvalid,
    CeremonyRefused,
    CertificateInvalid,
    DiskFull,
    Healing,
    HomeInvalid,
    Internal,
    IssuerUnavailable,
    KeyMissing,
    NodeRunning,
    Overloaded,
    PublishRefused,
    PublishUnconfirmed,
    SettingsInvalid,
    StoreCorrupt,
    StoreNeedsMigration,
    StoreUnavailable,
    TransportUnavailable,
    TrustListExpired,
    TrustListInvalid,
    Unroutable,
    VaultLocked,
)
from broker.core.errors.sender import (
    AlreadySettled,
    AmbiguousMessage,
    AttachmentIncomplete,
    AttachmentRefused,
    AuthorityKeyEnded,
    AuthorityKeyMissing,
    BadCursor,
    BadRequest,
    BasisNotAllowed,
    CaseErased,
    CaseOpen,
    CorrectionPending,
    ErasureChanged,
    ExerciseMismatch,
    Expired,
    ExpiryTooFar,
    Forbidden,
    HeaderInvalid,
    IdempotencyConflict,
    LegalHold,
    MessageErased,
    MessagesOwed,
    MethodNotAllowed,
    NewerMessages,
    NotAllowed,
    NotArranged,
    NotFound,
    NotParticipant,
    ProcedureMismatch,
    RecipientSuspended,
    RecordFull,
    RequestTooLarge,
    SafeguardBlocked,
    SafeguardHeld,
    SchemaInvalid,
    SealedPartRefused,
    TooLargeToSend,
    TooManyCases,
    Unauthenticated,
    UnknownRecipient,
    UnknownType,
    UnsupportedMediaType,
    UploadConflict,
    VersionNotSupported,
)
from broker.core.errors.untrusted import (
    AttachmentSpoiled,
    BadSignature,
    ChunkShape,
    ChunkUnknown,
    ClockAhead,
    ContentShape,
    DecryptFailed,
    EnvelopeHeader,
    EnvelopeMembers,
    FieldLength,
    HeaderMismatch,
    IdReused,
    KeyExpired,
    KeyNotYetValid,
    KeyRevoked,
    NotCanonical,
    NotForUs,
    NotHealed,
    OwnKeyMissing,
    Padding,
    SenderSuspended,
    SignatureShape,
    TooLarge,
    TrustListStale,
    UnknownAuthority,
    UnknownKey,
    UnknownRecipientKey,
    UnknownSchemaVersion,
    UnknownSender,
    UnsupportedEnvelopeVersion,
    WrongMemberKey,
)
from broker.core.families import Actor, BrokerError, Fate, NodeError, SenderError, UntrustedError

__all__ = [
    "Actor", "AdapterFailed", "AlreadySettled", "AmbiguousMessage", "AttachmentIncomplete", "AttachmentRefused",
    "AttachmentSpoiled", "AuthorityKeyEnded", "AuthorityKeyMissing", "BackupInvalid", "BadCursor", "BadRequest", "BadSignature", "BasisNotAllowed", "BrokerError", "CaseErased", "CaseKeyMissing", "CaseOpen",
    "CatalogueInvalid", "CeremonyRefused", "CertificateInvalid", "ChunkShape", "ChunkUnknown", "ClockAhead", "ContentShape", "CorrectionPending",
    "DecryptFailed", "DiskFull", "EnvelopeHeader", "EnvelopeMembers", "ErasureChanged", "ExerciseMismatch", "Expired", "ExpiryTooFar",
    "Fate", "FieldLength", "Forbidden", "HeaderInvalid", "HeaderMismatch", "Healing", "HomeInvalid", "IdReused",
    "IdempotencyConflict", "Internal", "IssuerUnavailable", "KeyExpired", "KeyMissing", "KeyNotYetValid",
    "KeyRevoked", "LegalHold", "MessageErased", "MessagesOwed", "MethodNotAllowed", "NewerMessages", "NodeError", "NodeRunning",
    "NotAllowed", "NotArranged", "NotCanonical",
    "NotForUs", "NotFound", "NotHealed", "NotParticipant", "Overloaded", "OwnKeyMissing", "Padding", "ProcedureMismatch",
    "PublishRefused", "PublishUnconfirmed", "RecipientSuspended", "RecordFull", "RequestTooLarge", "SafeguardBlocked",
    "SafeguardHeld", "SchemaInvalid", "SealedPartRefused", "SenderError", "SenderSuspended", "SettingsInvalid", "SignatureShape",
    "StoreCorrupt", "StoreNeedsMigration", "StoreUnavailable", "TooLarge", "TooLargeToSend", "TooManyCases", "TransportUnavailable",
    "TrustListExpired", "TrustListInvalid", "TrustListStale", "Unauthenticated", "UnknownAuthority", "UnknownKey",
    "UnknownRecipient", "UnknownRecipientKey", "UnknownSchemaVersion", "UnknownSender", "UnknownType", "Unroutable",
    "UnsupportedEnvelopeVersion", "UnsupportedMediaType", "UntrustedError", "UploadConflict", "VaultLocked",
    "VersionNotSupported", "WrongMemberKey", "by_code", "every_error",
]  # fmt: skip


def every_error() -> Iterator[type[BrokerError]]:
    """Yield each leaf of this room, families in the order of the docstring, leaves in the order of definition.

    Tools beside the node (demonstration, provisioning of tests) have failures of their own that no peer or caller sees.
    """
    for family in (SenderError, UntrustedError, NodeError):
        yield from (error for error in family.__subclasses__() if error.__module__.startswith(f"{__name__}."))


@cache
def by_code() -> Mapping[str, type[BrokerError]]:
    """Return the tree's leaves by their stable code."""
    return MappingProxyType({error.code: error for error in every_error()})
