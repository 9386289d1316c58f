# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Signs statements about an audit trail and verifies them: a JWS of both signatures, as in an envelope (PROTOCOL 14.3).

The type in the protected headers keeps a statement apart from everything else that these keys sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.core import canonical
from broker.core.checkpoints import Checkpoint, KeptCheckpoint
from broker.core.errors import (
    SignatureShape,
    UnknownKey,
    WrongMemberKey,
)
from broker.core.ids import KeyId
from broker.core.trust import KeyUse, Member, MemberKey
from broker.security import envelope as wire
from broker.security import suite
from broker.security.suite import Signer
from broker.security.verifying import check_both, check_key

__all__ = [
    "CHECKPOINT",
    "EXPORT",
    "Statement",
    "check_statement",
    "peek_checkpoint",
    "read_checkpoint",
    "read_statement",
    "sign_checkpoint",
    "sign_statement",
]

CHECKPOINT = "trm-checkpoint+jws"
EXPORT = "trm-audit-export+jws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A parsed statement; its signatures are not verified."""

    payload: bytes
    kids: tuple[KeyId, KeyId]
    inputs: tuple[bytes, bytes]
    values: tuple[bytes, bytes]


def sign_statement(payload: bytes, kind: str, signer: Signer) -> bytes:
    """Return the canonical JWS of a payload with both signatures."""
    encoded = canonical.b64url_encode(payload)
    headers = [
        canonical.b64url_encode(canonical.dump({"alg": use.value, "kid": kid, "typ": kind}))
        for use, kid in zip(suite.SIGNATURES, (signer.ed25519_kid, signer.ml_dsa_kid), strict=True)
    ]
    signing = (signer.sign_ed25519, signer.sign_ml_dsa)
    return wire.write_jws(
        encoded,
        [(header, sign(wire.signing_input(header, encoded))) for header, sign in zip(headers, signing, strict=True)],
    )


def read_statement(raw: bytes, kind: str) -> Statement:
    """Return the statement of these bytes; nothing in it is believed.

    Raises:
        NotCanonical: not canonical JSON.
        SignatureShape: not the one fixed shape, or another kind of statement.
    """
    jws = canonical.parse(raw)
    if not isinstance(jws, dict) or jws.keys() != {"payload", "signatures"}:
        raise SignatureShape
    signatures = jws["signatures"]
    if not isinstance(signatures, list) or len(signatures) != len(suite.SIGNATURES):
        raise SignatureShape
    parts = [_signature(index, item, jws["payload"], kind) for index, item in enumerate(signatures)]
    (one, first, left), (two, second, right) = parts
    return Statement(payload=_decode(jws["payload"]), kids=(one, two), inputs=(first, second), values=(left, right))


def check_statement(statement: Statement, member: Member, *, at: datetime) -> None:
    """Refuse unless both signatures are of keys with which the member could sign at that time.

    Raises:
        UnknownKey, WrongMemberKey, KeyNotYetValid, KeyExpired, KeyRevoked: a key was not its signing key then.
        BadSignature: one does not verify.
        TrustListInvalid: a listed key is not a public key of its algorithm.
    """
    ed25519, ml_dsa = (_key(kid, use, member, at) for kid, use in zip(statement.kids, suite.SIGNATURES, strict=True))
    check_both((ed25519, ml_dsa), statement.values, statement.inputs)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> KeptCheckpoint:
    """Return the checkpoint signed."""
    return KeptCheckpoint.of(checkpoint, sign_statement(checkpoint.payload(), CHECKPOINT, signer))


def read_checkpoint(raw: bytes, member: Member) -> Checkpoint:
    """Return the checkpoint of these bytes, verified as the member's, its keys judged at the time that it states.

    Raises:
        NotCanonical, SignatureShape: it does not have its form.
        WrongMemberKey: it is about another country's trail.
        UnknownKey, KeyNotYetValid, KeyExpired, KeyRevoked, BadSignature: it is not the member's.
    """
    statement = read_statement(raw, CHECKPOINT)
    checkpoint = Checkpoint.from_payload(statement.payload)
    if checkpoint.country != member.country:
        raise WrongMemberKey
    check_statement(statement, member, at=checkpoint.at)
    return checkpoint


def peek_checkpoint(raw: bytes) -> Checkpoint:
    """Return what these bytes say, to find the keys by which it is to be verified; nothing of it is believed.

    Raises:
        NotCanonical, SignatureShape: it does not have its form.
    """
    return Checkpoint.from_payload(read_statement(raw, CHECKPOINT).payload)


def _signature(index: int, item: object, payload: object, kind: str) -> tuple[KeyId, bytes, bytes]:
    if not isinstance(item, dict) or item.keys() != {"protected", "signature"} or not isinstance(payload, str):
        raise SignatureShape
    protected = item["protected"]
    header = canonical.parse(_decode(protected))
    if not isinstance(header, dict) or header.keys() != {"alg", "kid", "typ"}:
        raise SignatureShape
    if (header["alg"], header["typ"]) != (suite.SIGNATURES[index].value, kind):
        raise SignatureShape
    value = _decode(item["signature"])
    if len(value) != suite.SIGNATURE_LENGTHS[index]:
        raise SignatureShape
    try:
        return KeyId(header["kid"]), wire.signing_input(protected, payload), value
    except ValueError:
        raise SignatureShape from None


def _key(kid: KeyId, use: KeyUse, member: Member, at: datetime) -> MemberKey:
    key = next((key for key in member.keys if key.kid == kid), None)
    if key is None:
        raise UnknownKey
    return check_key(key, use, at=at)


def _decode(text: object) -> bytes:
    if not isinstance(text, str) or not text:
        raise SignatureShape
    try:
        return canonical.b64url_decode(text)
    except ValueError:
        raise SignatureShape from None
