# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The API over a real SQLite store, real flows and the real catalogue; only time, trust and transport are simulated."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from broker import logs
from broker.api.app import create_app
from broker.api.local_issuer import LocalIssuer
from broker.api.services import ApiLimits, ApiServices
from broker.api.serving import ApiRunner, listen
from broker.api.tokens import Role
from broker.catalogue import Catalogue
from broker.core.content import entry_of
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, KeyId, MessageId, MessageType, ProcedureId
from broker.core.messages import Header, InboxEntry, LegalBasis, OutboxKind, Party, ProcedureRef, Urgency
from broker.core.record import RecordEntry
from broker.core.trust import Authority, Member, TrustList
from broker.flows.attend import Attend
from broker.flows.inspect import Inspect
from broker.flows.open import Open
from broker.flows.submit import Submit
from broker.ledger import Ledger
from broker.metrics import Metrics
from broker.ports import Attention, AuditRow, ProcedureRow, Store, Transaction
from broker.schema_files import load_catalogue
from broker.storage import migrate, open_store
from broker.testing.clock import HandClock
from broker.testing.ids import SeededIds

OURS = AuthorityId("social-insurance-board")
OTHER = AuthorityId("ministry-of-justice")
THEIRS = AuthorityId("helsinki-wellbeing-services")
NODE = AuthorityId("node")
EE, FI = CountryCode("EE"), CountryCode("FI")
_OFFICE = {"name": "Näidisamet", "kind": "SOCIAL_SERVICES", "country": "EE"}


class FixedTrust:
    """A trust source whose list does not change."""

    def __init__(self, trust: TrustList) -> None:
        self._trust = trust

    def current(self) -> TrustList:
        return self._trust

    async def refresh(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A running API and what stands behind it."""

    services: ApiServices
    store: Store
    clock: HandClock
    issuer: LocalIssuer
    url: str
    session: aiohttp.ClientSession
    catalogue: Catalogue
    ids: SeededIds

    def token(self, role: str = "officer", authority: str = OURS, subject: str = "officer-17") -> str:
        return self.issuer.issue(subject, Role(role), AuthorityId(authority), timedelta(hours=1))

    async def ask(
        self, method: str, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **more: Any
    ) -> Reply:
        sent = {**({"Authorization": f"Bearer {token}"} if token is not None else {}), **(headers or {})}
        async with self.session.request(method, self.url + path, headers=sent, **more) as response:
            return Reply(status=response.status, headers=dict(response.headers), text=await response.text())

    async def submit(self, document: Any, *, key: str = "key-1", token: str | None = None) -> Reply:
        return await self.ask(
            "POST", "/api/v1/messages", token=token or self.token(), headers={"Idempotency-Key": key}, json=document
        )


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def names() -> SimpleNamespace:
    return SimpleNamespace(ours=OURS, other=OTHER, theirs=THEIRS, node=NODE, ee=EE, fi=FI)


@pytest.fixture
def log_text() -> Iterator[io.StringIO]:
    """Everything that is logged, as an operator would find it; the process's logging is put back afterwards."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers[:] = []
    stream = io.StringIO()
    logs.configure("DEBUG", stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = kept
    root.setLevel(level)


@pytest.fixture
def document() -> dict[str, Any]:
    """A submission that fits its schema; every person in it is made up."""
    person = _person()
    return {
        "type": "family-tracing.request",
        "sender": {"authority": OURS},
        "recipient": {"country": "FI", "authority": THEIRS},
        "legal_basis": {"code": "B2B_80_1_B"},
        "purpose": "Find a relative who may care for the child",
        "urgency": "PRIORITY",
        "language": "en",
        "exercise": True,
        "body": {
            "child": _child(),
            "persons_sought": [person],
            "separation": {"date": {"unknown": True}, "place": {"unknown": True}, "cause": {"unknown": True}},
            "protection_claim": {"status": "NOT_RECORDED"},
            "family_protection_claims": {"unknown": True},
            "danger_assessment": {
                "office": _OFFICE,
                "assessed_on": "2026-11-01",
                "outcome": "NO_DANGER_FOUND",
                "would_endanger": "NO",
                "covers": ["CHILD"],
            },
            "approach": "DIRECT_CONTACT",
            "child_wish": {
                "heard": {"on": "2026-11-02", "by": _OFFICE, "language": "et", "wants_tracing": "YES"},
            },
            "consent": {"given": {"by": ["CHILD"], "on": "2026-11-02", "recorded_by": _OFFICE}},
            "supporting_reasons": "The child asks for her mother.",
            "needed_for": {"kind": "PLACEMENT", "before": _OFFICE, "situation": "Placement is being prepared."},
            "communication_needs": {
                "languages": [{"language": "et", "level": "FLUENT"}],
                "interpreter": {"unknown": True},
            },
            "guardian": {"unknown": True},
            "contact": {"office": _OFFICE, "email": "desk@example.invalid", "availability": "OFFICE_HOURS"},
        },
    }


def _name(given: str, family: str) -> dict[str, Any]:
    return {"given": {"value": given}, "family": {"value": family}}


def _child() -> dict[str, Any]:
    return {
        "name": _name("Test-Maarika", "Näidis"),
        "sex": "FEMALE",
        "birth": {"unknown": True},
        "place_of_birth": {"unknown": True},
        "nationalities": {"unknown": True},
        "languages": {"value": ["et"]},
    }


def _person() -> dict[str, Any]:
    return {
        "person": "P1",
        "relationship": "MOTHER",
        "claim_basis": ["CHILD_STATEMENT"],
        "asked": ["WHEREABOUTS"],
        "name": _name("Test-Liisa", "Näidis"),
        "sex": "FEMALE",
        "birth": {"unknown": True},
        "nationalities": {"unknown": True},
        "vital_status": {"unknown": True},
        "last_known": {"unknown": True},
        "verified_contact": {"unknown": True},
        "protection_claim": {"status": "NOT_RECORDED"},
        "approach": "DIRECT_CONTACT",
        "do_not_tell": [],
    }
