# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Submit, list, read and open messages."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from aiohttp import web

from broker.api import problems, views
from broker.api.answers import answer
from broker.api.places import Places
from broker.api.requests import PRINCIPAL, Query, acting, idempotency_key, path_id, read_json, read_reason
from broker.api.routes import PREFIX
from broker.api.services import ApiServices, casework_types
from broker.api.tokens import Role
from broker.core.content import time_to_text
from broker.core.delivery import ResendReason
from broker.core.errors import (
    BadRequest,
    BasisNotAllowed,
    BrokerError,
    Fate,
    Forbidden,
    HeaderInvalid,
    NotCanonical,
    SchemaInvalid,
)
from broker.core.ids import CountryCode, MessageId, MessageType, ProcedureId
from broker.core.messages import Submission
from broker.finding import find_with_evidence
from broker.logs import Event, Log
from broker.rows import Accepted, InboxState, MessageFilter, OutboxState

__all__ = ["STATES", "Direction", "Messages"]

ROUTE = "api"  # part of an idempotency key's scope


class Direction(StrEnum):
    """Which way a message went, seen from this node."""

    IN = "in"
    OUT = "out"


STATES = tuple(sorted({str(state) for state in (*OutboxState, *InboxState)} - {str(OutboxState.DONE)}))
_NOT_CANONICAL = "The body has no canonical form: a fraction, an integer beyond 2^53-1, a member name that is not ASCII, or too deep."


class Messages:
    """Handlers under /messages."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk
        self._log = Log("api")
        self._types = frozenset(casework_types(services.desk.catalogue))

    @cached_property
    def _places(self) -> Places:  # only a refusal asks for them
        return Places.of(self._desk.catalogue)

    async def submit(self, request: web.Request) -> web.Response:
        """Take a message; 202 says that it is stored, whether now or when the same key came before.

        Raises:
            BrokerError: it is refused, or could not be stored; nothing was stored.
        """
        Query(request).finish()
        principal = request[PRINCIPAL]
        key = idempotency_key(request)
        data = await read_json(request, self._services.limits)
        try:
            submission = self._desk.catalogue.parse_submission(
                data, actor=principal.subject, role=principal.audit_role, route=ROUTE, idempotency_key=key
            )
            if submission.sender_authority != principal.authority:
                raise Forbidden("The token speaks for another authority.", where="/sender/authority")
            accepted = await self._desk.submit(submission)
        except NotCanonical:
            raise BadRequest(_NOT_CANONICAL, where="/body") from None
        except BrokerError as error:
            if error.fate is not Fate.REFUSE:
                raise
            return await self._refuse(error, data)
        if not accepted.repeated:
            self._account(submission, accepted)
        location = {"Location": f"{PREFIX}/messages/{accepted.message}"}
        return answer(views.accepted(accepted), status=202, headers=location)

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of the authority's messages.

        Raises:
            BadRequest, BadCursor: a parameter is wrong.
        """
        query = Query(request)
        wanted = MessageFilter(
            direction=query.take("direction", Direction),
            peer=query.take("peer", CountryCode),
            procedure=query.take("procedure", ProcedureId),
            type=query.take("type", self._known_type),
            state=query.take("state", _state),
            authority=request[PRINCIPAL].authority,
        )
        cursor, limit = query.page(self._services.limits)
        listed, surge = await self._desk.looked(
            lambda reader: reader.messages(wanted, cursor=cursor, limit=limit, readable_only=True)
        )
        await self._desk.consult.messages(listed, wanted, request[PRINCIPAL].who)
        return answer(views.page(listed, views.message_item, surge))

    async def read(self, request: web.Request) -> web.Response:
        """Return one message with its content and evidence.

        Raises:
            MessageErased: it was erased here; an officer is told by which decision.
            NotFound: it is not here or another authority's.
            AmbiguousMessage: several countries used its id, and the query does not say which one is meant.
        """
        query = Query(request)
        direction, peer = query.take("direction", Direction), query.take("peer", CountryCode)
        query.finish()
        wanted, authority = path_id(request, MessageId), request[PRINCIPAL].authority

        us, decided = self._desk.us, request[PRINCIPAL].role is Role.OFFICER
        found, surge = await self._desk.looked(
            lambda reader: find_with_evidence(
                reader, us, wanted, authority, direction=direction, peer=peer, decided=decided
            )
        )
        await self._desk.consult.message(found[0], request[PRINCIPAL].who)
        return answer(views.message(*found, surge))

    async def mark_opened(self, request: web.Request) -> web.Response:
        """State that a person has seen a received message.

        Raises:
            MessageErased, NotFound: there is no such received message for the authority.
            AmbiguousMessage: several countries used its id, and no peer is named.
        """
        query = Query(request)
        peer = query.take("peer", CountryCode)
        query.finish()
        wanted = path_id(request, MessageId)
        at = await self._desk.open_message(wanted, request[PRINCIPAL].who, peer=peer)
        self._log.info(Event.MESSAGE_OPENED, message=wanted)
        return answer({"message": str(wanted), "opened": time_to_text(at)})

    async def resend(self, request: web.Request) -> web.Response:
        """Send one of our messages once more; 202 says that it will be.

        Raises:
            BadRequest: the body is not one known reason.
            MessageErased, NotFound: there is no such message of the authority's own.
            AlreadySettled: nothing of its evidence is missing.
        """
        Query(request).finish()
        wanted = path_id(request, MessageId)
        reason = await read_reason(request, self._services.limits, ResendReason.of_people())
        at = await self._desk.resend(wanted, acting(request[PRINCIPAL]), reason)
        self._log.info(Event.MESSAGE_RESENT, message=wanted)
        return answer(views.resent(wanted, at), status=202)

    def _account(self, submission: Submission, accepted: Accepted) -> None:
        peer = submission.recipient.country
        self._services.metrics.submitted(peer, submission.type)
        self._log.info(
            Event.MESSAGE_SUBMITTED,
            message=accepted.message,
            procedure=accepted.procedure,
            peer=peer,
            type=submission.type,
        )

    def _known_type(self, text: str) -> MessageType:
        if text not in self._types:
            raise ValueError("not a type of the catalogue")
        return MessageType(text)

    async def _refuse(self, error: BrokerError, data: Any) -> web.Response:
        """Answer with all that is wrong with the document, its places named as in the caller's document."""
        if error.where is not None:  # a flow names places of the message that the submission became
            error.where = self._places.known(error.where.removeprefix("/header"))
        if not isinstance(error, SchemaInvalid | HeaderInvalid | BasisNotAllowed):
            return problems.respond(error)
        explain = self._desk.catalogue.explain_submission
        found = await asyncio.to_thread(explain, data)  # slow on a large hostile document
        faults = [replace(fault, pointer=self._places.known(fault.pointer)) for fault in found]
        return problems.respond(error, faults=faults)


def _state(text: str) -> str:
    if text not in STATES:
        raise ValueError("not a state")
    return text
