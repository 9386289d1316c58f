# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a token must be so that somebody is believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.api.tokens import (
    MAX_TOKEN_LENGTH,
    Principal,
    PublicKey,
    Role,
    TokenRules,
    algorithms_of,
    key_id_of,
    verified,
)
from broker.core.errors import Unauthenticated
from broker.core.ids import AuthorityId
from broker.testing.clock import HandClock

ED = Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = Ed25519PrivateKey.generate()
RULES = TokenRules(issuer="https://idp.invalid", audience="trm", max_lifetime_seconds=3600, leeway_seconds=30)
CLOCK = HandClock()
NOW = int(CLOCK.now().timestamp())
HEADER = {"alg": "EdDSA", "typ": "JWT", "kid": "k1"}
CLAIMS: dict[str, Any] = {
    "iss": "https://idp.invalid", "aud": "trm", "sub": "officer-17", "role": "officer",
    "authority": "social-insurance-board", "iat": NOW, "exp": NOW + 600,
}  # fmt: skip


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Any, claims: Any, sign: Callable[[bytes], bytes] = ED.sign) -> str:
    """A token with exactly that header and those claims."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    content = ".".join(b64(part) for part in parts)
    return f"{content}.{b64(sign(content.encode()))}"


def judge(token: str, key: PublicKey | None = None) -> Principal:
    """Verify as a node does that has this key."""
    key_id_of(token)
    public = key or ED.public_key()
    return verified(token, public, algorithms_of(public), RULES, CLOCK)


def claims(**changed: Any) -> dict[str, Any]:
    """The good claims, some changed; None takes one out."""
    return {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}


def test_good_token_names_its_caller() -> None:
    """Subject, role and authority come from a token whose signature and claims hold."""
    expected = Principal(subject="officer-17", role=Role.OFFICER, authority=AuthorityId("social-insurance-board"))

    assert judge(signed(HEADER, CLAIMS)) == expected
    assert judge(signed({**HEADER, "alg": "Ed25519"}, CLAIMS)) == expected
    assert judge(signed({**HEADER, "typ": "at+jwt"}, claims(aud=["other", "trm"], nbf=NOW))) == expected


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256")])
def test_issuers_usual_algorithms_are_taken(key: Any, algorithm: str) -> None:
    """The signatures that identity providers use are verified with keys of their own kind."""
    token = jwt.encode(CLAIMS, key, algorithm=algorithm, headers={"kid": "k1"})

    assert judge(token, key.public_key()).subject == "officer-17"


def hmac_with_public_key(encoding: Encoding, shape: PublicFormat) -> str:
    """The classic confusion: the public key, which everybody has, used as a shared secret."""
    secret = ED.public_key().public_bytes(encoding, shape)
    return signed({**HEADER, "alg": "HS256"}, CLAIMS, lambda text: hmac.new(secret, text, hashlib.sha256).digest())


ATTACKS: dict[str, str] = {
    "no algorithm": signed({**HEADER, "alg": "none"}, CLAIMS, lambda _: b"x"),
    "no algorithm, other case": signed({**HEADER, "alg": "nOnE"}, CLAIMS, lambda _: b"x"),
    "no signature": signed({**HEADER, "alg": "none"}, CLAIMS, lambda _: b"").rstrip("."),
    "public key as shared secret, PEM": hmac_with_public_key(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "public key as shared secret, raw": hmac_with_public_key(Encoding.Raw, PublicFormat.Raw),
    "algorithm of another kind of key": signed({**HEADER, "alg": "ES256"}, CLAIMS),
    "signed by a stranger": signed(HEADER, CLAIMS, STRANGER.sign),
    "a stranger's key inside": signed(
        {**HEADER, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(STRANGER.public_key().public_bytes_raw())}},
        CLAIMS, STRANGER.sign,
    ),
    "claims changed after signing": ".".join(
        [*signed(HEADER, CLAIMS).split(".")[:1], b64(json.dumps(claims(role="admin")).encode()),
         signed(HEADER, CLAIMS).split(".")[2]]
    ),
    "critical header unknown": signed({**HEADER, "crit": ["exp"], "exp": 1}, CLAIMS),
    "unencoded payload": signed({**HEADER, "crit": ["b64"], "b64": False}, CLAIMS),
    "another type of token": signed({**HEADER, "typ": "trm+jws"}, CLAIMS),
    "no key id": signed({"alg": "EdDSA"}, CLAIMS),
    "key id is no text": signed({**HEADER, "kid": 1}, CLAIMS),
    "header is a list": signed([HEADER], CLAIMS),
    "claims are a list": signed(HEADER, [CLAIMS]),
    "claims are no JSON": signed(HEADER, b"{"),
    "another issuer": signed(HEADER, claims(iss="https://evil.invalid")),
    "no issuer": signed(HEADER, claims(iss=None)),
    "another audience": signed(HEADER, claims(aud="other")),
    "no audience": signed(HEADER, claims(aud=None)),
    "audience inside an object": signed(HEADER, claims(aud={"trm": True})),
    "expired": signed(HEADER, claims(iat=NOW - 700, exp=NOW - 30)),
    "no expiry": signed(HEADER, claims(exp=None)),
    "expiry is a text": signed(HEADER, claims(exp=str(NOW + 600))),
    "expiry is true": signed(HEADER, claims(exp=True)),
    "expiry is infinite": signed(HEADER, json.dumps(CLAIMS).replace(str(NOW + 600), "1e999").encode()),
    "no time of issue": signed(HEADER, claims(iat=None)),
    "issued in the future": signed(HEADER, claims(iat=NOW + 31, exp=NOW + 600)),
    "not valid yet": signed(HEADER, claims(nbf=NOW + 31)),
    "not-before is a text": signed(HEADER, claims(nbf="0")),
    "lives too long": signed(HEADER, claims(exp=NOW + 3601)),
    "ends before it begins": signed(HEADER, claims(iat=NOW + 20, exp=NOW + 10)),
    "no subject": signed(HEADER, claims(sub=None)),
    "subject is empty": signed(HEADER, claims(sub="")),
    "subject with a line break": signed(HEADER, claims(sub="a\nb")),
    "subject is a list": signed(HEADER, claims(sub=["a"])),
    "no role": signed(HEADER, claims(role=None)),
    "unknown role": signed(HEADER, claims(role="root")),
    "several roles": signed(HEADER, claims(role=["officer", "admin"])),
    "no authority": signed(HEADER, claims(authority=None)),
    "authority is no identifier": signed(HEADER, claims(authority="*")),
    "authority is a list": signed(HEADER, claims(authority=["social-insurance-board"])),
    "empty": "",
    "two parts": "a.b",
    "five parts": "a.b.c.d.e",
    "too long, and else good": signed(HEADER, claims(more="a" * MAX_TOKEN_LENGTH)),
    "padding": signed(HEADER, CLAIMS) + "=",
    "a space inside": signed(HEADER, CLAIMS).replace(".", ". ", 1),
    "not base64": "!.!.!",
    "not ASCII": "ä.ö.ü",
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_refused_without_a_word_of_the_token(attack: str) -> None:
    """Whatever is wrong with a token, nobody is believed and the error repeats none of it."""
    token = ATTACKS[attack]

    with pytest.raises(Unauthenticated) as refusal:
        judge(token)

    text = f"{refusal.value} {refusal.value.__cause__}"
    assert not [part for part in token.split(".") if len(part) > 4 and part in text]
    assert "evil" not in text


def test_the_longest_token_is_read() -> None:
    """The limit itself is no reason to refuse."""
    tokens = (signed(HEADER, claims(more="a" * size)) for size in range(MAX_TOKEN_LENGTH * 7 // 10, MAX_TOKEN_LENGTH))
    longest = next(token for token in tokens if len(token) == MAX_TOKEN_LENGTH)
    assert judge(longest).subject == "officer-17"


def test_time_has_a_small_leeway() -> None:
    """A clock half a minute off is no reason to refuse."""
    assert judge(signed(HEADER, claims(iat=NOW - 629, exp=NOW - 29))).role is Role.OFFICER
    assert judge(signed(HEADER, claims(iat=NOW + 30))).role is Role.OFFICER


def test_weak_and_unfit_keys_verify_nothing() -> None:
    """A short RSA key and a curve of another kind have no algorithm here."""
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()

    assert algorithms_of(short) == ()
    assert algorithms_of(ec.generate_private_key(ec.SECP384R1()).public_key()) == ()
    with pytest.raises(Unauthenticated):
        judge(jwt.encode(CLAIMS, EC, algorithm="ES256", headers={"kid": "k1"}), short)
