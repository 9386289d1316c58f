# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the vectors of sealed parts (PROTOCOL 16.8): what an office makes of each, by which layer, and what its node does.

Each is read twice as an office: check by check, to see which layer refuses, and as an office reads a message. The two must
agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from broker.catalogue import Catalogue
from broker.core.content import time_from_text
from broker.core.errors import BrokerError, SchemaInvalid
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId, MessageType, ProcedureId, SchemaVersion
from broker.core.messages import Header, Party, ProcedureRef
from broker.core.sealed_parts import PartPlace, put, rest_digest, sealed_parts, value_at
from broker.core.trust import Authority, AuthorityKey, KeyUse, Member, TrustList
from broker.schema_files import load_catalogue
from broker.sealed.checking import check_received
from broker.sealed.opening import Surroundings, open_parts
from broker.security import jwk, nested
from broker.security.nested import PART_LENGTHS
from broker.security.suite import KeyRing
from broker.testing.vectors import VectorResult

__all__ = ["SEALED_LAYERS", "are_sealed", "run_sealed_vectors"]

SEALED_LAYERS = (
    "members", "header", "kid", "lengths", "place", "held", "decrypt", "padding", "inside", "schema",
)  # fmt: skip
_OK = "ok"
_SEALED = "parts/sealed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vector:
    name: str
    expect: str
    layer: str | None
    node: str
    now: datetime
    around: Surroundings
    header: Header
    body: Any
    place: str
    opener: KeyRing
    trust: TrustList
    inside: Any


def run_sealed_vectors(path: Path) -> tuple[VectorResult, ...]:
    """Run one vector file, or every one in a folder in the order of their names.

    Raises:
        ValueError: a file is not a vector; the message names the file.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    catalogue = load_catalogue()
    return tuple(_run(_read(file), catalogue) for file in files)


def are_sealed(folder: Path) -> bool:
    """Whether a folder holds vectors of sealed parts and not of envelopes."""
    first = next(iter(sorted(folder.glob("*.json"))), None)
    try:
        return first is not None and "held" in orjson.loads(first.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _run(vector: _Vector, catalogue: Catalogue) -> VectorResult:
    got, layer = _by_layer(vector, catalogue)
    whole, node = _as_an_office(vector, catalogue), _as_a_node(vector, catalogue)
    if whole != got:
        got = f"{got} by layer, {whole} as an office"
    if node != vector.node:
        got = f"{got}, and {node} at the node, not {vector.node}"
    return VectorResult(name=vector.name, expect=vector.expect, expect_layer=vector.layer, got=got, got_layer=layer)


def _by_layer(vector: _Vector, catalogue: Catalogue) -> tuple[str, str | None]:
    steps = _steps(vector, catalogue)
    layer = SEALED_LAYERS[0]
    try:
        for layer in steps:  # noqa: B007  the last one that was begun is the one that refused
            pass
    except BrokerError as error:
        return error.code, _refining(layer, error)
    return _OK, None


def _steps(vector: _Vector, catalogue: Catalogue) -> Any:
    """Make each check, naming it before."""
    part = value_at(vector.body, vector.place)
    yield "members"
    parsed = nested.parse_part(part)
    yield "lengths"
    nested.check_lengths(parsed, PART_LENGTHS)
    yield "place"
    places = [place for place, _ in sealed_parts(vector.body)]
    opens = "procedure" not in parsed.profile
    expected = PartPlace.of(vector.header, opens=opens, rest=rest_digest(vector.body, places), place=vector.place)
    nested.check_belongs(parsed, expected.to_json())
    yield "decrypt"
    padded = nested.decrypt(parsed, vector.opener)
    yield "padding"
    inside = nested.unpadded(padded, PART_LENGTHS)
    yield "schema"
    schemas = dict(catalogue.sealed_schemas(vector.around.type, vector.around.version, vector.body))
    if catalogue.explain_part(schemas[vector.place], inside, vector.place, leaving=False):
        raise SchemaInvalid
    if vector.inside is not None and inside != vector.inside:
        raise RuntimeError("another inside than the vector's")


_FINER = {
    ("members", "not-canonical"): "header",
    ("members", "envelope-header"): "header",
    ("members", "header-mismatch"): "kid",
    ("decrypt", "unknown-recipient-key"): "held",
    ("padding", "not-canonical"): "inside",
}


def _refining(layer: str, error: BrokerError) -> str:
    """Return the layer where one function makes several checks; their codes tell them apart."""
    return _FINER.get((layer, error.code), layer)


def _as_an_office(vector: _Vector, catalogue: Catalogue) -> str:
    opened = open_parts(vector.around, vector.body, opener=vector.opener, catalogue=catalogue)
    fault = next((fault for fault in opened.faults if fault.place == vector.place), None)
    if fault is not None:
        return fault.code
    return _OK if vector.place in opened.opened else "envelope-members"  # nothing of the form stands there


def _as_a_node(vector: _Vector, catalogue: Catalogue) -> str:
    if catalogue.explain_part(_SEALED, value_at(vector.body, vector.place), vector.place, leaving=False):
        return SchemaInvalid.code
    try:
        check_received(vector.header, vector.body, vector.trust, now=vector.now)
    except BrokerError as error:
        return error.code
    return _OK


def _read(file: Path) -> _Vector:
    try:
        return _vector(orjson.loads(file.read_bytes()))
    except (OSError, KeyError, TypeError, AttributeError, ValueError, BrokerError) as error:
        raise ValueError(f"{file.name} is not a vector: {type(error).__name__}") from error


def _vector(data: Mapping[str, Any]) -> _Vector:
    message, layer = data["message"], data["layer"]
    if layer is not None and layer not in SEALED_LAYERS:
        raise ValueError("an unknown layer")
    around = Surroundings(
        sender=_party(message["sender"]),
        recipient=_party(message["recipient"]),
        type=MessageType(message["type"]),
        version=SchemaVersion(message["version"]),
        procedure=ProcedureId(message["procedure"]),
        exercise=message["exercise"],
    )
    now = time_from_text(data["now"])
    return _Vector(
        name=data["name"],
        expect=data["expect"],
        layer=layer,
        node=data["node"],
        now=now,
        around=around,
        header=_header(around, now, opens=message["opens"]),
        body=_body(data),
        place=data["place"],
        opener=KeyRing(dict(_private(item["jwk"]) for item in data["held"])),
        trust=_trust(around.recipient, data["listed"]),
        inside=data.get("inside"),
    )


def _body(data: Mapping[str, Any]) -> Any:
    pad = data.get("ciphertext_pad")
    if pad is None:
        return data["body"]
    part = value_at(data["body"], data["place"])
    jwe = {**part["jwe"], "ciphertext": part["jwe"]["ciphertext"] + "A" * pad}
    return put(data["body"], data["place"], {**part, "jwe": jwe})


def _header(around: Surroundings, now: datetime, *, opens: bool) -> Header:
    procedure = around.procedure
    if procedure is None:
        raise ValueError("a message without a procedure")
    return Header(
        id=MessageId(procedure),
        type=around.type,
        version=around.version,
        sender=around.sender,
        recipient=around.recipient,
        created=now,
        exercise=around.exercise,
        nonce="",
        procedure=ProcedureRef(
            id=procedure, name=around.type.procedure, version=around.version, digest=Digest("0" * 64)
        ),
        parents=() if opens else (Digest("1" * 64),),
    )


def _trust(recipient: Party, listed: list[Mapping[str, Any]]) -> TrustList:
    office = Authority(id=recipient.authority, name="Test-Office", keys=tuple(_key(item) for item in listed))
    return TrustList(version=1, members={recipient.country: Member(country=recipient.country, authorities=(office,))})


def _key(item: Mapping[str, Any]) -> AuthorityKey:
    use, public = jwk.public_from_jwk(item["jwk"])
    revoked = item["revoked_at"]
    return AuthorityKey(
        kid=jwk.thumbprint(use, public),
        public=public,
        not_before=time_from_text(item["not_before"]),
        seal_until=time_from_text(item["seal_until"]),
        accept_until=time_from_text(item["accept_until"]),
        revoked_at=None if revoked is None else time_from_text(revoked),
    )


def _private(data: Mapping[str, Any]) -> tuple[Any, bytes]:
    use, seed = jwk.seed_from_jwk(data)
    if use is not KeyUse.HPKE:
        raise ValueError("not an encryption key")
    return jwk.thumbprint(use, jwk.public_of(use, seed)), seed


def _party(value: Mapping[str, Any]) -> Party:
    return Party(country=CountryCode(value["country"]), authority=AuthorityId(value["authority"]))
