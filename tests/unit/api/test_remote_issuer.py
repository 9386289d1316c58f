# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An issuer outside the node, on a loopback server that counts its requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from broker.api.remote_issuer import IssuerSettings, RemoteIssuer
from broker.core.errors import IssuerUnavailable, SettingsInvalid, Unauthenticated
from broker.testing.clock import HandClock

ED, NEXT = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def jwk(algorithm: Any, key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public key as the issuer publishes it."""
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


@dataclass
class Provider:
    """What the identity provider answers, and how often it was asked."""

    url: str = ""
    keys: list[Any] = field(default_factory=list)
    answer: Callable[[web.Request], Any] | None = None
    asked: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.answer is not None:
            answer: web.StreamResponse = await self.answer(request)
            return answer
        return web.json_response({"keys": self.keys})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A provider with one key of each kind."""
    given = Provider()
    given.keys = [
        jwk(OKPAlgorithm, ED, "ed"), jwk(RSAAlgorithm, RSA, "rsa", alg="PS256", use="sig"), jwk(ECAlgorithm, EC, "ec"),
    ]  # fmt: skip
    app = web.Application()
    app.router.add_get("/keys", given.handle)
    app.router.add_get("/elsewhere", given.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    given.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield given
    await runner.cleanup()


@pytest.fixture
def clock() -> HandClock:
    """The node's clock."""
    return HandClock()


@pytest.fixture
async def issuer(provider: Provider, clock: HandClock) -> AsyncIterator[RemoteIssuer]:
    """A node that believes this provider."""
    settings = IssuerSettings(jwks_url=provider.url, issuer="https://idp.invalid", audience="trm", timeout_seconds=2.0)
    given = RemoteIssuer(settings, clock=clock)
    yield given
    await given.close()


def token(clock: HandClock, key: Any = ED, algorithm: str = "EdDSA", kid: str = "ed", **changed: Any) -> str:
    """A token of the provider."""
    now = int(clock.now().timestamp())
    claims = {
        "iss": "https://idp.invalid", "aud": "trm", "sub": "officer-17", "role": "officer",
        "authority": "social-insurance-board", "iat": now, "exp": now + 600, **changed,
    }  # fmt: skip
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


async def test_keys_are_fetched_once(issuer: RemoteIssuer, provider: Provider, clock: HandClock) -> None:
    """The first token fetches the keys; later ones, also at the same time, use them."""
    tokens = [token(clock), token(clock, RSA, "PS256", "rsa"), token(clock, EC, "ES256", "ec"), token(clock)]
    found = await asyncio.gather(*(issuer.verify(each) for each in tokens))

    assert {principal.subject for principal in found} == {"officer-17"}
    assert provider.asked == 1


async def test_unknown_key_asks_at_most_once_a_minute(
    issuer: RemoteIssuer, provider: Provider, clock: HandClock
) -> None:
    """Strangers with invented key ids do not make the node hammer its issuer; a new key is found after a minute."""
    await issuer.verify(token(clock))
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await issuer.verify(token(clock, NEXT, kid=f"invented-{number}"))
    assert provider.asked == 1

    provider.keys.append(jwk(OKPAlgorithm, NEXT, "next"))
    clock.advance(60)

    assert (await issuer.verify(token(clock, NEXT, kid="next"))).subject == "officer-17"
    assert provider.asked == 2


async def test_withdrawn_key_stops_working(issuer: RemoteIssuer, provider: Provider, clock: HandClock) -> None:
    """A key that the issuer took back is gone after the longest age of the cache."""
    await issuer.verify(token(clock))
    del provider.keys[0]
    clock.advance(15 * 60 + 1)

    with pytest.raises(Unauthenticated):
        await issuer.verify(token(clock))


async def test_keys_serve_through_an_outage_but_not_for_ever(
    issuer: RemoteIssuer, provider: Provider, clock: HandClock
) -> None:
    """While the issuer is away its last keys are used, then every token is refused with a retry, not as false."""
    await issuer.verify(token(clock))

    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    provider.answer = away
    clock.advance(5 * 3600)
    assert (await issuer.verify(token(clock))).subject == "officer-17"
    clock.advance(3600 + 1)

    with pytest.raises(IssuerUnavailable):
        await issuer.verify(token(clock))


async def test_key_is_bound_to_its_stated_algorithm(issuer: RemoteIssuer, provider: Provider, clock: HandClock) -> None:
    """A key published for PS256 does not verify RS256."""
    with pytest.raises(Unauthenticated):
        await issuer.verify(token(clock, RSA, "RS256", "rsa"))


async def test_unfit_keys_are_passed_over(issuer: RemoteIssuer, provider: Provider, clock: HandClock) -> None:
    """Shared secrets, private, encryption and broken keys in the set are ignored; the good one works."""
    private = json.loads(OKPAlgorithm.to_jwk(NEXT))
    provider.keys = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "ed"}, {**private, "kid": "private"}, "text", {"kty": "OKP", "kid": "x"},
        {"kty": [], "kid": "odd"}, jwk(OKPAlgorithm, NEXT, "enc", use="enc"), {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"},
        jwk(OKPAlgorithm, ED, "ed"), {**jwk(OKPAlgorithm, NEXT, "x"), "kid": 7},
    ]  # fmt: skip

    assert (await issuer.verify(token(clock))).subject == "officer-17"
    for kid in ("private", "enc", "short", "x"):
        with pytest.raises(Unauthenticated):
            await issuer.verify(token(clock, NEXT, kid=kid))


async def redirect(_: web.Request) -> web.StreamResponse:
    """Send the caller elsewhere."""
    raise web.HTTPFound("/elsewhere")


async def endless(request: web.Request) -> web.StreamResponse:
    """Answer with more than anybody needs."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(40):
        await response.write(b" " * 8192)
    return response


async def text(_: web.Request) -> web.StreamResponse:
    """Answer with something else."""
    return web.Response(text="<html>")


async def no_set(_: web.Request) -> web.StreamResponse:
    """Answer with JSON that is no key set."""
    return web.json_response({"keys": {}})


@pytest.mark.parametrize("answer", [redirect, endless, text, no_set])
async def test_bad_answers_leave_no_key(
    issuer: RemoteIssuer, provider: Provider, clock: HandClock, answer: Callable[[web.Request], Any]
) -> None:
    """A redirect, an endless answer or something else is no key set: nobody is believed, and the reason is a retry."""
    provider.answer = answer

    with pytest.raises(IssuerUnavailable):
        await issuer.verify(token(clock))
    assert provider.asked == 1


async def test_slow_issuer_is_given_up(provider: Provider, clock: HandClock) -> None:
    """An issuer that does not answer within the limit counts as away."""
    hold = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        await hold.wait()
        return web.Response()

    provider.answer = slow
    settings = IssuerSettings(jwks_url=provider.url, issuer="i", audience="a", timeout_seconds=0.05)
    issuer = RemoteIssuer(settings, clock=clock)
    with pytest.raises(IssuerUnavailable):
        await issuer.verify(token(clock))
    hold.set()
    await issuer.close()


@pytest.mark.parametrize("url", ["http://idp.invalid/keys", "file:///etc/passwd", "ftp://127.0.0.1/", ""])
def test_address_must_be_https(clock: HandClock, url: str) -> None:
    """Keys that decide who is believed are not taken over an open line."""
    settings = replace(IssuerSettings(jwks_url="https://idp.invalid/keys", issuer="i", audience="a"), jwks_url=url)

    with pytest.raises(SettingsInvalid):
        RemoteIssuer(settings, clock=clock)
