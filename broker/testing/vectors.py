# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Runs test vectors of the envelope (PROTOCOL 12): one file, one envelope, the code and the layer that must answer.

Each envelope is read twice: check by check, to see which layer refuses, and as a node reads it. The two must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson

from broker.core import canonical
from broker.core.content import time_from_text
from broker.core.errors import BrokerError
from broker.core.ids import CountryCode, KeyId, MessageType
from broker.core.messages import ProfileHeader
from broker.core.trust import KeyUse, Member, MemberKey, MemberStatus, TrustList
from broker.security import envelope as wire
from broker.security import jwk, sealing
from broker.security.suite import KeyRing

__all__ = ["LAYERS", "Vector", "VectorResult", "read_vector", "run_vector", "run_vectors"]

LAYERS = (
    "size", "outer", "members", "header", "recipient", "key", "lengths", "decrypt", "padding", "jws", "sender",
    "signature", "content", "match", "expiry",
)  # fmt: skip
_OK = "ok"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One vector file."""

    name: str
    expect: str  # "ok" or the error's code
    layer: str | None  # None where nothing refuses
    now: datetime
    us: CountryCode
    opener: KeyRing
    trust: TrustList
    raw: bytes
    content: bytes | None  # canonical bytes of the message, where the file has one


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorResult:
    """What a vector asked for and what came out."""

    name: str
    expect: str
    expect_layer: str | None
    got: str
    got_layer: str | None

    @property
    def passed(self) -> bool:
        """Whether code and layer are as asked."""
        return (self.got, self.got_layer) == (self.expect, self.expect_layer)


def run_vectors(path: Path) -> tuple[VectorResult, ...]:
    """Run one vector file, or every one in a folder in the order of their names.

    Raises:
        ValueError: a file is not a vector; the message names the file.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    return tuple(run_vector(read_vector(file)) for file in files)


def run_vector(vector: Vector) -> VectorResult:
    """Read the vector's envelope both ways."""
    got, layer = _by_layer(vector)
    whole = _as_a_node(vector)
    if whole != got:
        got = f"{got} by layer, {whole} as a node"
    return VectorResult(name=vector.name, expect=vector.expect, expect_layer=vector.layer, got=got, got_layer=layer)


def read_vector(file: Path) -> Vector:
    """Return the vector in a file.

    Raises:
        ValueError: it is not one; the message names the file.
    """
    try:
        return _vector(orjson.loads(file.read_bytes()))
    except (OSError, KeyError, TypeError, AttributeError, ValueError, BrokerError) as error:
        raise ValueError(f"{file.name} is not a vector: {type(error).__name__}") from error


def _vector(data: Mapping[str, Any]) -> Vector:
    recipient = data["recipient"]
    expect, layer = data["expect"], data["layer"]
    if (expect == _OK) != (layer is None) or (layer is not None and layer not in LAYERS):
        raise ValueError("an unknown layer")
    return Vector(
        name=data["name"],
        expect=expect,
        layer=layer,
        now=time_from_text(data["now"]),
        us=CountryCode(recipient["member"]),
        opener=KeyRing(dict(_private(key) for key in recipient["keys"])),
        trust=TrustList(
            version=1, members={CountryCode(name): _member(name, m) for name, m in data["members"].items()}
        ),
        raw=_envelope(data),
        content=canonical.dump(data["message"]) if expect == _OK or "message" in data else None,
    )


def _envelope(data: Mapping[str, Any]) -> bytes:
    raw = canonical.b64url_decode(data["envelope"])
    pad = data.get("envelope_pad")
    return raw if pad is None else raw + str(pad["byte"]).encode("ascii") * int(pad["count"])


def _private(key: Mapping[str, Any]) -> tuple[KeyId, bytes]:
    use, seed = jwk.seed_from_jwk(key["jwk"])
    if use is not KeyUse.HPKE:
        raise ValueError("not an encryption key")
    return jwk.thumbprint(use, jwk.public_of(use, seed)), seed


def _member(country: str, data: Mapping[str, Any]) -> Member:
    return Member(
        country=CountryCode(country), status=MemberStatus(data["status"]), keys=tuple(_key(key) for key in data["keys"])
    )


def _key(data: Mapping[str, Any]) -> MemberKey:
    use, public = jwk.public_from_jwk(data["jwk"])
    revoked = data["revoked_at"]
    return MemberKey(
        kid=jwk.thumbprint(use, public),
        use=use,
        public=public,
        not_before=time_from_text(data["not_before"]),
        sign_until=time_from_text(data["sign_until"]),
        accept_until=time_from_text(data["accept_until"]),
        revoked_at=None if revoked is None else time_from_text(revoked),
    )


class _Layers:
    """Remembers which layer was asked last."""

    def __init__(self) -> None:
        self.last = LAYERS[0]

    def ask(self, layer: str, check: Callable[[], T]) -> T:
        self.last = layer
        return check()


def _by_layer(vector: Vector) -> tuple[str, str | None]:
    layers = _Layers()
    try:
        content = _check_by_check(vector, layers.ask)
    except BrokerError as error:
        return error.code, layers.last
    return _accepted(vector, content), None


def _check_by_check(vector: Vector, ask: Callable[[str, Callable[[], Any]], Any]) -> bytes:
    now, opener = vector.now, vector.opener
    ask("size", lambda: wire.check_size(vector.raw))
    outer = ask("outer", lambda: canonical.parse(vector.raw))
    members = ask("members", lambda: wire.take_members(outer))
    envelope = ask("header", lambda: wire.parse_header(members))
    ask("recipient", lambda: sealing.check_for_us(envelope, vector.us))
    ask("key", lambda: sealing.check_key_held(envelope, opener))
    ask("lengths", lambda: wire.check_lengths(envelope))
    padded = ask("decrypt", lambda: sealing.decrypt(envelope, opener))
    jws = ask("padding", lambda: wire.unpad(padded))
    signed: wire.Signed = ask("jws", lambda: wire.parse_jws(jws))
    ask("jws", lambda: wire.check_same_profile(signed, envelope.profile_bytes))
    keys = ask("sender", lambda: sealing.find_sender_keys(envelope.profile, signed, vector.trust, now=now))
    ask("signature", lambda: sealing.check_signatures(signed, keys))
    content = ask("content", lambda: sealing.read_content(signed))
    ask("match", lambda: sealing.check_match(content, envelope.profile))
    ask("expiry", lambda: _check_times(content, envelope.profile, now))
    return signed.content


def _as_a_node(vector: Vector) -> str:
    try:
        opened = sealing.open_envelope(wire.parse(vector.raw), vector.opener, us=vector.us)
        verified = sealing.verify(opened, vector.trust, now=vector.now)
        _check_times(sealing.Content(header=verified.header, body=verified.body), verified.profile, vector.now)
    except BrokerError as error:
        return error.code
    return _accepted(vector, verified.content)


def _check_times(content: sealing.Content, profile: ProfileHeader, now: datetime) -> None:
    if not MessageType.is_of_nodes(content.header.get("type")):
        sealing.check_times(content, profile, now=now)


def _accepted(vector: Vector, content: bytes) -> str:
    return _OK if vector.content in {None, content} else "another message"
