# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An issuer of access tokens outside this node (an authority's identity provider), known by its JWKS address.

- Keys are cached; an unknown key id asks again at most once a minute, so strangers cannot make this node a hammer.
- Keys older than `max_age_seconds` are asked for again: a withdrawn key stops working. While the issuer cannot be
  reached the last keys serve until `stale_seconds`, then every token is refused with a retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import orjson

from broker.api.tokens import Principal, PublicKey, TokenRules, algorithms_of, key_id_of, verified
from broker.core.errors import IssuerUnavailable, SettingsInvalid, Unauthenticated
from broker.logs import Event, Log
from broker.ports import Clock

__all__ = ["IssuerSettings", "RemoteIssuer"]

MAX_JWKS_BYTES = 256 * 1024
MAX_KEYS = 64
_ALGORITHMS = {"OKP": "EdDSA", "EC": "ES256", "RSA": "RS256"}  # by kind of key
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """Which issuer is believed, and for which audience."""

    jwks_url: str
    issuer: str
    audience: str
    max_lifetime_seconds: int = 24 * 3600
    timeout_seconds: float = 5.0
    refetch_seconds: float = 60.0  # least time between two requests
    max_age_seconds: float = 15 * 60.0
    stale_seconds: float = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    key: PublicKey
    algorithms: tuple[str, ...]


class RemoteIssuer:
    """Verifies tokens by an issuer's published keys."""

    def __init__(self, settings: IssuerSettings, *, clock: Clock) -> None:
        """Raises: SettingsInvalid: the address is neither https nor on this machine."""
        parts = urlsplit(settings.jwks_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise SettingsInvalid("The issuer's key address must be https.", where="jwks_url")
        self._settings = settings
        self._clock = clock
        self._rules = TokenRules(
            issuer=settings.issuer, audience=settings.audience, max_lifetime_seconds=settings.max_lifetime_seconds
        )
        self._log = Log("api.issuer")
        self._keys: Mapping[str, _Key] = {}
        self._fetched: float | None = None  # monotonic time of the last success
        self._asked: float | None = None  # monotonic time of the last attempt
        self._session: aiohttp.ClientSession | None = None  # made inside the running loop
        self._lock = asyncio.Lock()  # one request at a time; the others wait for its answer

    async def verify(self, token: str) -> Principal:
        """Return the caller.

        Raises:
            Unauthenticated: the issuer did not sign this token, or a claim does not hold.
            IssuerUnavailable: its keys cannot be had.
        """
        kid = key_id_of(token)
        await self._refresh(unless_known=kid)
        known = self._keys.get(kid)
        if self._age() > self._settings.stale_seconds:
            raise IssuerUnavailable
        if known is None:
            raise Unauthenticated
        return verified(token, known.key, known.algorithms, self._rules, self._clock)

    async def close(self) -> None:
        """Close the connections to the issuer."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _age(self) -> float:
        return float("inf") if self._fetched is None else self._clock.monotonic() - self._fetched

    def _fresh(self, kid: str) -> bool:
        return kid in self._keys and self._age() <= self._settings.max_age_seconds

    def _may_ask(self) -> bool:
        return self._asked is None or self._clock.monotonic() - self._asked >= self._settings.refetch_seconds

    async def _refresh(self, *, unless_known: str) -> None:
        if self._fresh(unless_known) or not (self._may_ask() or self._lock.locked()):
            return
        async with self._lock:  # whoever comes while a request is under way waits for its answer
            if self._fresh(unless_known) or not self._may_ask():
                return
            self._asked = self._clock.monotonic()
            try:
                self._keys = _parse(await self._fetch())
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                self._log.error(Event.ISSUER_KEYS_FAILED, error)
                return
            self._fetched = self._clock.monotonic()
            self._log.info(Event.ISSUER_KEYS_FETCHED, count=len(self._keys))

    async def _fetch(self) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds), trust_env=False
            )
        async with self._session.get(self._settings.jwks_url, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError("the issuer answered with another status")
            raw = await response.content.read(MAX_JWKS_BYTES + 1)
            while len(raw) <= MAX_JWKS_BYTES and not response.content.at_eof():
                raw += await response.content.read(MAX_JWKS_BYTES + 1 - len(raw))
        if len(raw) > MAX_JWKS_BYTES:
            raise ValueError("the issuer's key set is too large")
        return raw


def _parse(raw: bytes) -> Mapping[str, _Key]:
    """Return the usable keys by id; a key that we cannot use is none of our business, a broken set is an error."""
    data = orjson.loads(raw)
    if not isinstance(data, dict) or not isinstance(data.get("keys"), list):
        raise ValueError("not a key set")
    usable: dict[str, _Key] = {}
    for item in data["keys"][:MAX_KEYS]:
        key = _key(item) if isinstance(item, dict) else None
        if key is not None and isinstance(item.get("kid"), str):
            usable[item["kid"]] = key
    return usable


def _key(item: Mapping[str, Any]) -> _Key | None:
    stated, kind = item.get("alg"), item.get("kty")
    wanted = _ALGORITHMS.get(kind) if isinstance(kind, str) else None
    if wanted is None or item.get("use", "sig") != "sig" or "d" in item:
        return None
    try:
        key = jwt.PyJWK.from_dict(dict(item), algorithm=wanted).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if not isinstance(key, PublicKey):
        return None
    algorithms = tuple(name for name in algorithms_of(key) if stated is None or name == stated)
    return _Key(key=key, algorithms=algorithms) if algorithms else None
