# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Access tokens: who calls, in which role, for which authority.

- Algorithms are a fixed list of signatures; shared secrets and ``none`` do not exist here.
- A key is bound to the algorithms of its own kind before a token is looked at (no algorithm confusion).
- Everything in a token is a hint until its signature verifies; an error never repeats any of it.
- Times are judged by the node's clock, with a small leeway.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import OKPAlgorithm

from broker.core.audit import Who
from broker.core.errors import Unauthenticated
from broker.core.ids import AuthorityId
from broker.core.messages import NODE
from broker.core.roles import AuditRole
from broker.ports import Clock

__all__ = [
    "ALGORITHMS",
    "NODE_ROLES",
    "WHOLE_NODE",
    "Principal",
    "PublicKey",
    "Role",
    "TokenRules",
    "TokenVerifier",
    "algorithms_of",
    "key_id_of",
    "verified",
]

ALGORITHMS = ("Ed25519", "EdDSA", "ES256", "PS256", "RS256")
MIN_RSA_BITS = 2048
MAX_TOKEN_LENGTH = 8192  # characters
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_SUBJECT = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


class Role(StrEnum):
    """What a token may do; there is no order among them."""

    OFFICER = "officer"  # a person at an authority: submits, reads, opens
    SYSTEM = "system"  # an authority's own system: the same, and metrics; of the whole node metrics alone
    AUDITOR = "auditor"  # audit and attention lists, never content
    ADMIN = "admin"  # attention, health, metrics, never content


WHOLE_NODE = NODE  # the authority of a token that speaks for the installation itself
NODE_ROLES = frozenset({Role.ADMIN, Role.AUDITOR})  # whose tokens may: neither reads any content


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A verified caller. Built by `verified` alone."""

    subject: str
    role: Role
    authority: AuthorityId

    @property
    def audit_role(self) -> AuditRole:
        """Under which role the audit trail records what the caller does."""
        return AuditRole(self.role)

    @property
    def who(self) -> Who:
        """The caller as the audit trail names him."""
        return Who(actor=self.subject, role=self.audit_role, authority=self.authority)


class TokenVerifier(Protocol):
    """Turns a token into the caller it proves."""

    async def verify(self, token: str) -> Principal:
        """Return the caller.

        Raises:
            Unauthenticated: the token proves nothing.
            NodeError: the issuer's keys cannot be had now.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What tokens of one issuer must say."""

    issuer: str
    audience: str
    max_lifetime_seconds: int
    leeway_seconds: int = 30  # between the issuer's clock and ours


def algorithms_of(key: PublicKey) -> tuple[str, ...]:
    """Return the algorithms that a key may verify; none for a weak or unfit one."""
    if isinstance(key, Ed25519PublicKey):
        return ("Ed25519", "EdDSA")
    if isinstance(key, EllipticCurvePublicKey):
        return ("ES256",) if isinstance(key.curve, SECP256R1) else ()
    return ("PS256", "RS256") if key.key_size >= MIN_RSA_BITS else ()


def key_id_of(token: str) -> str:
    """Return the key id that a token states, a hint for finding the key.

    Raises:
        Unauthenticated: not a token of the expected form.
    """
    kid = _load(token)[0].get("kid")
    if not isinstance(kid, str):
        raise Unauthenticated
    return kid


def verified(token: str, key: PublicKey, algorithms: Sequence[str], rules: TokenRules, clock: Clock) -> Principal:
    """Return the caller that the token proves under this key.

    Raises:
        Unauthenticated: the signature or a claim does not hold.
    """
    header, _ = _load(token)
    if header.get("alg") not in algorithms or str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise Unauthenticated
    try:
        payload = _jws().decode_complete(token, key=key, algorithms=list(algorithms))["payload"]
        claims = orjson.loads(payload)
    except (jwt.PyJWTError, orjson.JSONDecodeError, ValueError, TypeError):
        raise Unauthenticated from None
    _check_claims(claims, rules, clock.now().timestamp())
    return _principal(claims)


def _jws() -> jwt.PyJWS:
    jws = jwt.PyJWS(algorithms=[name for name in ALGORITHMS if name != "Ed25519"])
    jws.register_algorithm("Ed25519", OKPAlgorithm())  # RFC 9864 name; the key's kind was checked before
    return jws


def _load(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims without believing them."""
    if len(token) > MAX_TOKEN_LENGTH or _TOKEN.fullmatch(token) is None:
        raise Unauthenticated
    try:
        parts = [orjson.loads(jwt.utils.base64url_decode(part)) for part in token.split(".")[:2]]
    except (ValueError, TypeError):
        raise Unauthenticated from None
    header, claims = parts
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Unauthenticated
    return header, claims


def _check_claims(claims: Mapping[str, Any], rules: TokenRules, now: float) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != rules.issuer or rules.audience not in audiences:
        raise Unauthenticated
    expires, issued = _time(claims.get("exp")), _time(claims.get("iat"))
    not_before = _time(claims["nbf"]) if "nbf" in claims else issued
    if now >= expires + rules.leeway_seconds:
        raise Unauthenticated("The access token has expired.")
    if max(issued, not_before) > now + rules.leeway_seconds:
        raise Unauthenticated("The access token is not valid yet.")
    if not 0 < expires - issued <= rules.max_lifetime_seconds:
        raise Unauthenticated("The access token lives longer than this node allows.")


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unauthenticated
    return float(value)


def _principal(claims: Mapping[str, Any]) -> Principal:
    subject = claims.get("sub")
    if not isinstance(subject, str) or _SUBJECT.fullmatch(subject) is None:
        raise Unauthenticated
    try:
        return Principal(subject=subject, role=Role(claims["role"]), authority=AuthorityId(claims["authority"]))
    except (KeyError, ValueError, TypeError):
        raise Unauthenticated("The access token names no role or authority of this node.") from None
