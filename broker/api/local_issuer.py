# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The embedded issuer of access tokens: one Ed25519 key file in the node's home, made by ``trm init``."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from broker.api.tokens import Principal, Role, TokenRules, algorithms_of, key_id_of, verified
from broker.core import canonical
from broker.core.errors import HomeInvalid, KeyMissing, Unauthenticated
from broker.core.ids import AuthorityId, CountryCode
from broker.ports import Clock

__all__ = ["DEFAULT_AUDIENCE", "LONGEST", "LocalIssuer"]

DEFAULT_AUDIENCE = "trm"
LONGEST = {
    Role.OFFICER: timedelta(hours=12),  # a working day
    Role.AUDITOR: timedelta(hours=12),
    Role.ADMIN: timedelta(hours=12),
    Role.SYSTEM: timedelta(days=90),  # put into another system's settings by a person
}


class LocalIssuer:
    """Issues and verifies this node's own tokens."""

    def __init__(
        self, key: Ed25519PrivateKey, *, us: CountryCode, clock: Clock, audience: str = DEFAULT_AUDIENCE
    ) -> None:
        self._key = key
        self._public = key.public_key()
        self._clock = clock
        self.kid = _thumbprint(self._public.public_bytes_raw())
        self.name = f"urn:trm:node:{us}"
        self._rules = TokenRules(
            issuer=self.name, audience=audience, max_lifetime_seconds=int(max(LONGEST.values()).total_seconds())
        )

    @classmethod
    def create(cls, path: Path, *, us: CountryCode, clock: Clock) -> Self:
        """Make the key file, readable by its owner only; an existing one is never overwritten.

        Raises:
            HomeInvalid: the file is there already or cannot be written.
        """
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            raise HomeInvalid("The token key file is there already.", where=path.name) from None
        except OSError:
            raise HomeInvalid("The token key file cannot be written.", where=path.name) from None
        return cls(key, us=us, clock=clock)

    @classmethod
    def load(cls, path: Path, *, us: CountryCode, clock: Clock, audience: str = DEFAULT_AUDIENCE) -> Self:
        """Read the key file.

        Raises:
            KeyMissing: it is not there.
            HomeInvalid: it is not an Ed25519 key, cannot be read, or others on this machine can read it.
        """
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            pem = path.read_bytes()
        except FileNotFoundError:
            raise KeyMissing(
                "The token key file is missing: copy it out of a restored backup (trm restore).", where=path.name
            ) from None
        except OSError:
            raise HomeInvalid("The token key file cannot be read.", where=path.name) from None
        if mode & 0o077:
            raise HomeInvalid("Others can read the token key file; set its mode to 600.", where=path.name)
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise HomeInvalid("The token key file is not a key.", where=path.name) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise HomeInvalid("The token key file is not an Ed25519 key.", where=path.name)
        return cls(key, us=us, clock=clock, audience=audience)

    def issue(self, subject: str, role: Role, authority: AuthorityId, lifetime: timedelta) -> str:
        """Return a token; its lifetime is bounded by role (`LONGEST`).

        Raises:
            RuntimeError: a lifetime that is not positive or too long.
        """
        if not timedelta(0) < lifetime <= LONGEST[role]:
            raise RuntimeError("a token's lifetime is positive and at most that of its role")
        issued = int(self._clock.now().timestamp())
        claims = {
            "iss": self.name,
            "aud": self._rules.audience,
            "sub": subject,
            "role": role.value,
            "authority": str(authority),
            "iat": issued,
            "exp": issued + max(1, int(lifetime.total_seconds())),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self.kid})

    async def verify(self, token: str) -> Principal:
        """Return the caller.

        Raises:
            Unauthenticated: not a valid token of this issuer.
        """
        if key_id_of(token) != self.kid:
            raise Unauthenticated
        return verified(token, self._public, algorithms_of(self._public), self._rules, self._clock)

    async def close(self) -> None:
        """Nothing to release."""


def _thumbprint(public: bytes) -> str:
    jwk = canonical.dump({"crv": "Ed25519", "kty": "OKP", "x": canonical.b64url_encode(public)})
    return canonical.b64url_encode(bytes.fromhex(canonical.digest(jwk)))  # RFC 7638
