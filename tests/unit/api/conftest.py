# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The API over a real SQLite store, real flows and the real catalogue; only time, trust and transport are simulated."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from broker.api import openapi
from broker.api.app import create_app
from broker.api.local_issuer import LocalIssuer
from broker.api.services import ApiLimits, ApiServices
from broker.api.serving import ApiRunner, listen
from broker.api.tokens import Role
from broker.catalogue import Catalogue
from broker.core.content import entry_of
from broker.core.ids import AuthorityId, CountryCode, Digest, KeyId, MessageId, MessageType
from broker.core.messages import Header, InboxEntry, LegalBasis, OutboxKind, Party, ProcedureRef, RecordEntry, Urgency
from broker.core.trust import Authority, Member, TrustList
from broker.metrics import Metrics
from broker.ports import Store, Transaction
from broker.rows import Attention, AuditRow, ProcedureRow
from broker.schema_files import load_catalogue, read_schema_file
from broker.storage import open_store
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.blobs import MemoryBlobs
from broker.testing.clock import HandClock
from broker.testing.compute import InlineCompute
from broker.testing.ids import SeededIds
from broker.wiring import wire_desk

OURS = AuthorityId("social-insurance-board")
OTHER = AuthorityId("ministry-of-justice")
THEIRS = AuthorityId("helsinki-wellbeing-services")
NODE = AuthorityId("node")
EE, FI = CountryCode("EE"), CountryCode("FI")
_OFFICE = {"name": "Näidisamet", "kind": "LOCAL_AUTHORITY", "country": "EE"}


@pytest.fixture(scope="session", autouse=True)
def _each_catalogue_is_described_once() -> Iterator[None]:
    """Describe a catalogue's schemas once per worker: a running API does so once, too."""
    describing = openapi.components
    openapi.components = cache(describing)
    yield
    openapi.components = describing


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
    """This program's own schemas."""
    return load_catalogue()


@pytest.fixture
def names() -> SimpleNamespace:
    """The offices and countries of these tests."""
    return SimpleNamespace(ours=OURS, other=OTHER, theirs=THEIRS, node=NODE, ee=EE, fi=FI)


@pytest.fixture
def document() -> dict[str, Any]:
    """A submission that fits its schema; every person in it is made up."""
    person = _person()
    return {
        "type": "family-tracing.request",
        "sender": {"authority": str(OURS)},
        "recipient": {"country": "FI", "authority": str(THEIRS)},
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
            "family_protection_claims": {"not_applicable": True},
            "danger_assessment": {
                "office": _OFFICE,
                "assessed_on": "2026-11-01",
                "outcome": "NO_DANGER_SEEN",
                "would_endanger": "NO",
                "covers": ["CHILD"],
            },
            "approach": "DISCREET",
            "child_wish": {
                "heard": {"on": "2026-11-02", "by": _OFFICE, "language": "et", "wants_tracing": "YES"},
            },
            "consent": {"given": {"by": ["CHILD"], "on": "2026-11-02", "recorded_by": _OFFICE}},
            "supporting_reasons": "The child asks for her mother.",
            "needed_for": {"kind": "PLACEMENT", "before": _OFFICE, "situation": "Placement is being prepared."},
            "communication_needs": {
                "languages": [{"language": "et", "level": "GOOD"}],
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
        "nationalities": {"value": ["EE"]},
        "languages": {"value": ["et"]},
    }


def _person() -> dict[str, Any]:
    return {
        "person": "P1",
        "relationship": "MOTHER",
        "claim_basis": ["CHILD_STATEMENT"],
        "asked": ["IDENTITY"],
        "name": _name("Test-Liisa", "Näidis"),
        "sex": "FEMALE",
        "birth": {"unknown": True},
        "nationalities": {"value": ["EE"]},
        "vital_status": {"unknown": True},
        "last_known": {"unknown": True},
        "verified_contact": {"unknown": True},
        "protection_claim": {"status": "NOT_RECORDED"},
        "approach": "DISCREET",
        "do_not_tell": [],
    }


@pytest.fixture
def registration(services: ApiServices) -> dict[str, Any]:
    """A drill's declaration of surge mode towards FI, for three days from today."""
    data: dict[str, Any] = json.loads(read_schema_file("examples/surge/registration-children-of-one-house.json"))
    data |= {"sender": {"authority": str(OURS)}, "recipient": {"country": "FI", "authority": str(THEIRS)}}
    data |= {"legal_basis": {"code": "H96_11"}, "exercise": True}
    data["body"]["declaration"] |= {"declared_on": services.desk.clock.now().date().isoformat(), "days": 3}
    return data


def federation(catalogue: Catalogue) -> TrustList:
    """Two countries with the offices of this folder's tests; no keys, for nothing is sealed here."""
    takes = {known: catalogue.versions(known) for known in catalogue.types()}
    offices = {EE: (OURS, OTHER), FI: (THEIRS,)}
    members = {
        country: Member(
            country=country, authorities=tuple(Authority(id=name, name=name) for name in named), messages=takes
        )
        for country, named in offices.items()
    }
    return TrustList(version=1, members=members)


@pytest.fixture
async def store(tmp_path: Path, empty_database: Path) -> AsyncIterator[Store]:
    """A real SQLite store."""
    path = tmp_path / "trm.db"
    shutil.copy(empty_database, path)
    opened = open_store(f"sqlite:///{path}", us=EE, cipher=unsafe_at_rest())
    yield opened
    await opened.close()


@pytest.fixture
def services(store: Store, catalogue: Catalogue, tmp_path: Path) -> ApiServices:
    """The real flows over the store, with a hand-moved clock."""
    clock = HandClock()
    desk = wire_desk(
        EE,
        store=store,
        blobs=MemoryBlobs(clock),
        compute=InlineCompute(),
        catalogue=catalogue,
        trust=FixedTrust(federation(catalogue)),
        clock=clock,
        ids=SeededIds("api", clock),
        wake=_nobody,
    )
    return ApiServices(
        desk=desk,
        tokens=LocalIssuer.create(tmp_path / "token-key.pem", us=EE, clock=clock),
        metrics=Metrics(CollectorRegistry(), types=frozenset(catalogue.types())),
        health={"store": _in_order},
        limits=ApiLimits(body_bytes=64 * 1024, body_seconds=5.0),
    )


def _nobody() -> None:
    """Nothing waits to be woken."""


async def _in_order() -> str | None:
    return None


@pytest.fixture
async def open_desk(services: ApiServices, catalogue: Catalogue) -> AsyncIterator[Callable[..., Any]]:
    """Start an API on a free loopback port, with some of its services replaced."""
    running: list[tuple[ApiRunner, aiohttp.ClientSession]] = []

    async def start(**changed: Any) -> Desk:
        own = {name: changed.pop(name) for name in ApiServices.__slots__ if name in changed}
        given = replace(services, desk=replace(services.desk, **changed), **own)
        runner = ApiRunner(create_app(given))
        url = await listen(runner, "127.0.0.1", 0)
        session = aiohttp.ClientSession()
        running.append((runner, session))
        assert isinstance(services.tokens, LocalIssuer)
        assert isinstance(services.desk.clock, HandClock)
        return Desk(
            services=given,
            store=given.desk.store,
            clock=services.desk.clock,
            issuer=services.tokens,
            url=url,
            session=session,
            catalogue=catalogue,
            ids=SeededIds("test", services.desk.clock),
        )

    yield start
    for runner, session in running:
        await session.close()
        await runner.cleanup()


@pytest.fixture
async def desk(open_desk: Callable[..., Any]) -> Desk:
    """The API as a node runs it."""
    started: Desk = await open_desk()
    return started


@pytest.fixture
def assert_problem() -> Callable[..., dict[str, Any]]:
    """The one assertion of a problem document's shape; returns the document."""

    def check(reply: Reply, status: int, code: str, *, where: str | None = None) -> dict[str, Any]:
        assert (reply.status, reply.json.get("code")) == (status, code), reply.text
        assert reply.headers["Content-Type"] == "application/problem+json"
        problem: dict[str, Any] = reply.json
        assert problem["type"] == f"/problems/{code}"
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"].endswith(".")
        assert problem["who_must_act"]
        assert set(problem) <= {
            "type", "title", "status", "detail", "code", "who_must_act", "where", "errors", "reference",
        }  # fmt: skip
        assert problem.get("where") == where
        assert all(set(fault) == {"pointer", "reason"} for fault in problem.get("errors", []))
        assert ("reference" in problem) == (status >= 500 and code != "overloaded")
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Server"] == "trm"
        return problem

    return check


@pytest.fixture
def receive(store: Store, catalogue: Catalogue, services: ApiServices) -> Callable[..., Any]:
    """Put a believed message of FI into the inbox, as the receive flow does."""
    ids = SeededIds("inbound", services.desk.clock)

    async def put(authority: str = OURS, *, sender: CountryCode = FI, known: MessageId | None = None) -> MessageId:
        table = catalogue.table("family-tracing")
        ref = ProcedureRef(id=ids.procedure_id(), name=table.procedure, version=table.version, digest=table.digest)
        header = Header(
            id=known or ids.message_id(),
            type=MessageType("family-tracing.request"),
            version=catalogue.newest(MessageType("family-tracing.request")),
            sender=Party(country=sender, authority=THEIRS),
            recipient=Party(country=EE, authority=AuthorityId(authority)),
            created=services.desk.clock.now(),
            exercise=True,
            nonce=ids.nonce(),
            language="en",
            urgency=Urgency.ROUTINE,
            purpose="TRACING",
            legal_basis=LegalBasis(code="B2B_80_1_B"),
            case_ref=ids.case_ref(exercise=True),
            procedure=ref,
        )
        await store.run(lambda tx: _receive(tx, header, ref, services))
        return header.id

    return put


def _receive(tx: Transaction, header: Header, ref: ProcedureRef, services: ApiServices) -> None:
    written = entry_of(header, {"child": "Test-Maarika Näidis"}, OutboxKind.MESSAGE)
    now = services.desk.clock.now()
    row = ProcedureRow(
        ref=ref, peer=header.sender.country, opener=header.sender.country, our_authority=header.recipient.authority, peer_authority=THEIRS,
        case_ref=header.case_ref, exercise=True, opened=now, state="REQUESTED",
    )  # fmt: skip
    tx.add_procedure(row)
    entry = InboxEntry(
        id=header.id, sender=header.sender.country, digest=written.digest, content=written.content, header=header, procedure=ref.id,
        raw_sha256=Digest("ab" * 32), received=now, signer_kids=(KeyId("A" * 43), KeyId("B" * 43)), trust_version=1,
    )  # fmt: skip
    tx.add_record_entry(
        ref.id,
        RecordEntry(
            digest=written.digest, message=header.id, author=header.sender.country, act=header.type.act, parents=()
        ),
    )
    tx.add_inbox(entry, next_at=now)


@pytest.fixture
def raise_attention(store: Store, services: ApiServices) -> Callable[..., Any]:
    """Open an attention entry and return its id."""

    async def put(
        subject: str, authority: str | None = OURS, *, code: str = "overdue-delivered", peer: CountryCode | None = FI
    ) -> int:
        entry = Attention(
            code=code, subject=subject, who="operator", at=services.desk.clock.now(), peer=peer,
            authority=None if authority is None else AuthorityId(authority),
        )  # fmt: skip
        await store.run(lambda tx: tx.raise_attention(entry))
        page = await store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=50))
        return next(item.id for item in page.items if item.subject == subject)

    return put


@pytest.fixture
def add_audit(store: Store, services: ApiServices) -> Callable[..., Any]:
    """Write an audit row."""

    async def put(subject: str) -> None:
        row = AuditRow(at=services.desk.clock.now(), actor="officer-17", action="opened", subject=subject)
        await store.run(lambda tx: tx.audit(row))

    return put
