# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The one table of endpoints: the router, the gate, the OpenAPI document and the tests all come from it."""

from __future__ import annotations

from dataclasses import dataclass

from broker.api.tokens import Role
from broker.core.errors import (
    AlreadySettled,
    AmbiguousMessage,
    AttachmentIncomplete,
    AttachmentRefused,
    BadCursor,
    BasisNotAllowed,
    BrokerError,
    CaseErased,
    CaseOpen,
    CorrectionPending,
    DiskFull,
    ErasureChanged,
    ExerciseMismatch,
    HeaderInvalid,
    Healing,
    IdempotencyConflict,
    LegalHold,
    MessageErased,
    MessagesOwed,
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
    TooLargeToSend,
    UnknownRecipient,
    UnknownType,
    UnsupportedMediaType,
    UploadConflict,
    VersionNotSupported,
)

__all__ = ["PREFIX", "ROUTES", "Route"]

PREFIX = "/api/v1"

_CASEWORK = frozenset({Role.OFFICER, Role.SYSTEM})
_PERSONS = frozenset({Role.OFFICER})
_EVERYONE = frozenset(Role)
_OF_A_CASE = (NotFound, CaseErased, RequestTooLarge, UnsupportedMediaType)  # whatever a body names a case for


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One endpoint."""

    name: str  # operationId; the handler of the same name is found by it
    method: str
    path: str  # under PREFIX
    summary: str
    roles: frozenset[Role] | None = None  # None: open to anyone
    status: int = 200
    answer: str | None = None  # name of the answer's schema; None: no JSON body
    query: tuple[str, ...] = ()
    submission: bool = False  # takes a submission and an Idempotency-Key
    takes: tuple[str, ...] = ()  # headers with numbers, of a request whose body is a file's bytes
    file: bool = False  # answers with a file's bytes
    body: str | None = None  # name of the request body's schema, where it is no submission
    errors: tuple[type[BrokerError], ...] = ()  # beyond those that every endpoint can give

    @property
    def template(self) -> str:
        """The whole path with its placeholders: the only form in which a path is logged or counted."""
        return PREFIX + self.path


_PAGE = ("cursor", "limit")

ROUTES: tuple[Route, ...] = (
    Route(
        name="submitMessage", method="POST", path="/messages", roles=_CASEWORK, status=202, answer="Accepted",
        summary="Submit a message for delivery to another country.", submission=True,
        errors=(
            SchemaInvalid, HeaderInvalid, UnknownType, VersionNotSupported, ProcedureMismatch, NotAllowed, BasisNotAllowed,
            ExerciseMismatch, RecordFull, UnknownRecipient, RecipientSuspended, NotArranged, TooLargeToSend, IdempotencyConflict, NotFound,
            NotParticipant, SafeguardHeld, SafeguardBlocked,
            AttachmentIncomplete, AttachmentRefused,
            RequestTooLarge, UnsupportedMediaType, Healing, DiskFull,
        ),
    ),
    Route(
        name="listMessages", method="GET", path="/messages", roles=_CASEWORK, answer="MessageList",
        summary="List the authority's messages, newest first, without their content.",
        query=("direction", "peer", "procedure", "type", "state", *_PAGE), errors=(BadCursor,),
    ),
    Route(
        name="readMessage", method="GET", path="/messages/{id}", roles=_CASEWORK, answer="Message",
        summary="Read one message: header, body and the evidence about it.",
        query=("direction", "peer"), errors=(NotFound, MessageErased, AmbiguousMessage),
    ),
    Route(
        name="markOpened", method="POST", path="/messages/{id}/opened", roles=_CASEWORK, answer="Opened",
        summary="State that a person has seen a received message; its sender gets a signed receipt.",
        query=("peer",), errors=(NotFound, MessageErased, AmbiguousMessage, AttachmentIncomplete),
    ),
    Route(
        name="resendMessage", method="POST", path="/messages/{id}/resend", status=202, answer="Resent", body="Resend",
        roles=frozenset({Role.OFFICER, Role.ADMIN}),
        summary="Send a message once more, for a reason; the other side answers again with every receipt that it has.",
        errors=(NotFound, MessageErased, AlreadySettled, RequestTooLarge, UnsupportedMediaType),
    ),
    Route(
        name="listHeld", method="GET", path="/held", roles=frozenset({Role.OFFICER}), answer="HeldList",
        summary="List the messages that wait for a second person, oldest first.", query=_PAGE, errors=(BadCursor,),
    ),
    Route(
        name="readHeld", method="GET", path="/held/{id}", roles=frozenset({Role.OFFICER}), answer="Held",
        summary="Read a held message, its reasons, and what left and came in its case since; or what became of it.",
        errors=(NotFound,),
    ),
    Route(
        name="releaseHeld", method="POST", path="/held/{id}/release", status=202, answer="Accepted", body="Release",
        roles=frozenset({Role.OFFICER}),
        summary="Let a held message leave, for a reason; never by its author. Everything is checked again; what left and "
        "came in its case since is named as seen.",
        errors=(
            NotFound, AlreadySettled, NewerMessages, SafeguardHeld, SafeguardBlocked, NotAllowed, NotParticipant,
            RecipientSuspended, UnknownRecipient, NotArranged, VersionNotSupported, RequestTooLarge, UnsupportedMediaType,
        ),
    ),
    Route(
        name="rejectHeld", method="POST", path="/held/{id}/reject", status=204, body="Reject",
        roles=frozenset({Role.OFFICER}), summary="Say that a held message does not leave; its content is forgotten.",
        errors=(NotFound, AlreadySettled, RequestTooLarge, UnsupportedMediaType),
    ),
    Route(
        name="readAttachment", method="GET", path="/messages/{id}/attachments/{digest}", roles=_CASEWORK, file=True,
        summary="Download an attachment of a message; the audit trail says who did.",
        query=("direction", "peer"), errors=(NotFound, MessageErased, AmbiguousMessage, AttachmentIncomplete),
    ),
    Route(
        name="beginUpload", method="POST", path="/attachments", roles=_CASEWORK, status=201, answer="Upload",
        summary="Begin to upload a file that a message will attach; its bytes may come at once.",
        takes=("Upload-Length",), errors=(AttachmentRefused, UnsupportedMediaType, UploadConflict, NotFound),
    ),
    Route(
        name="findUpload", method="HEAD", path="/attachments/{id}", roles=_CASEWORK,
        summary="Ask how far an upload is: header Upload-Offset.", errors=(NotFound,),
    ),
    Route(
        name="showUpload", method="GET", path="/attachments/{id}", roles=_CASEWORK, answer="Upload",
        summary="Show an upload: how far it is, and what it turned out to be.", errors=(NotFound,),
    ),
    Route(
        name="appendUpload", method="PATCH", path="/attachments/{id}", roles=_CASEWORK, answer="Upload",
        summary="Send a file's bytes from an offset on; whole MiB of them are kept whatever happens.",
        takes=("Upload-Offset",), errors=(NotFound, UploadConflict, AttachmentRefused, UnsupportedMediaType),
    ),
    Route(
        name="listProcedures", method="GET", path="/procedures", roles=_CASEWORK, answer="ProcedureList",
        summary="List the authority's procedures.", query=_PAGE, errors=(BadCursor,),
    ),
    Route(
        name="readProcedure", method="GET", path="/procedures/{id}", roles=_CASEWORK, answer="Procedure",
        summary="Read a procedure's record: state, digest, heads, entries and what is final.", errors=(NotFound,),
    ),
    Route(
        name="listActions", method="GET", path="/procedures/{id}/actions", roles=_CASEWORK, answer="Actions",
        summary="List the acts that the authority may send next as the record stands; safeguards judge what one would say.",
        errors=(NotFound,),
    ),
    Route(
        name="readTimeline", method="GET", path="/procedures/{id}/timeline", roles=_CASEWORK, answer="Timeline",
        summary="Read every step of a procedure and what proves it, oldest first.", errors=(NotFound,),
    ),
    Route(
        name="searchCases", method="POST", path="/cases/search", roles=frozenset({Role.OFFICER}),
        answer="CasesFound", body="CaseSearch",
        summary="Look for a person, or for the other procedures of a child, where the authority takes part; it is on record.",
        errors=(NotFound, RequestTooLarge, UnsupportedMediaType),
    ),
    Route(
        name="listRetention", method="GET", path="/retention", roles=_PERSONS, answer="RetentionList", query=("due",),
        summary="List until when the authority's cases are kept and what is held; the next review first.",
    ),
    Route(
        name="holdCase", method="POST", path="/retention/hold", roles=_PERSONS, answer="Retained", body="Hold",
        summary="Put a case under a legal hold, or release it.", errors=(*_OF_A_CASE, AlreadySettled),
    ),
    Route(
        name="reviewCase", method="POST", path="/retention/review", roles=_PERSONS, answer="Retained", body="Review",
        summary="Keep a case on until a day, for a reason.", errors=_OF_A_CASE,
    ),
    Route(
        name="proposeErasure", method="POST", path="/erasures", roles=_PERSONS, answer="ErasureListed", body="Erasing",
        summary="List exactly what an erasure takes away, and propose it; a second person confirms within 7 days.",
        errors=(*_OF_A_CASE, AlreadySettled, LegalHold, CaseOpen, MessagesOwed, CorrectionPending),
    ),
    Route(
        name="listErasures", method="GET", path="/erasures", roles=_PERSONS, answer="Erasures",
        summary="List the authority's newest erasures: proposed, asked for by other countries, carried out, final.",
    ),
    Route(
        name="confirmErasure", method="POST", path="/erasures/{id}/confirm", roles=_PERSONS, answer="Erasure",
        summary="Erase for good what another person proposed.",
        errors=(
            NotFound, CaseErased, AlreadySettled, ErasureChanged, LegalHold, CaseOpen, MessagesOwed, CorrectionPending,
        ),
    ),
    Route(
        name="rejectErasure", method="POST", path="/erasures/{id}/reject", roles=_PERSONS, answer="Erasure",
        body="NotErasing", summary="Say that a case is not erased; where another country asked, it is told why.",
        errors=(NotFound, AlreadySettled, RequestTooLarge, UnsupportedMediaType),
    ),
    Route(
        name="passOn", method="POST", path="/corrections", roles=_PERSONS, answer="PassedOn", body="PassOn",
        summary="Tell every office that was sent a case what is rectified, restricted or erased here (GDPR 19).",
        errors=_OF_A_CASE,
    ),
    Route(
        name="reportCorrection", method="POST", path="/messages/{id}/report", roles=_PERSONS, answer="Accepted",
        body="Report", status=202, summary="Report what was done with what another country corrected.",
        errors=(
            NotFound, SchemaInvalid, SafeguardHeld, SafeguardBlocked, NotAllowed, NotParticipant, RecipientSuspended,
            UnknownRecipient, NotArranged, VersionNotSupported, RecordFull, IdempotencyConflict, RequestTooLarge,
            UnsupportedMediaType, BasisNotAllowed, CaseErased,
        ),
    ),
    Route(
        name="listAttention", method="GET", path="/attention", roles=_EVERYONE, answer="AttentionList",
        summary="List what a person must look at.", query=("open", "peer", "code", *_PAGE), errors=(BadCursor,),
    ),
    Route(
        name="resolveAttention", method="POST", path="/attention/{id}/resolve", status=204,
        roles=frozenset({Role.OFFICER, Role.ADMIN}),
        summary="State that a person has looked after an entry.", errors=(NotFound,),
    ),
    Route(
        name="listMembers", method="GET", path="/members", roles=_EVERYONE, answer="MemberList",
        summary="List the countries of the federation, their offices, and how each is reached otherwise.",
    ),
    Route(
        name="listAudit", method="GET", path="/audit", roles=frozenset({Role.AUDITOR}), answer="AuditList",
        summary="List who did what; for an auditor of the whole node.", query=_PAGE, errors=(BadCursor,),
    ),
    Route(
        name="readHealth", method="GET", path="/health", answer="Health",
        summary="Whether this node is alive and ready; an admin's token also shows the single checks.",
    ),
    Route(
        name="readMetrics", method="GET", path="/metrics", roles=frozenset({Role.SYSTEM, Role.ADMIN}),
        summary="Counters and gauges in Prometheus' text format.",
    ),
    Route(name="readDescription", method="GET", path="/openapi.json", answer="Description", summary="This description."),
)  # fmt: skip
