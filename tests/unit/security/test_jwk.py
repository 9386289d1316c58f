# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keys as JSON have one shape each, and their thumbprint is over exactly that."""

import base64
import hashlib
import json
from typing import Any

import pytest

from broker.core.trust import KeyUse
from broker.security import jwk

USES = list(KeyUse)


@pytest.mark.parametrize("use", USES)
def test_a_public_key_comes_back_from_its_json(use: KeyUse) -> None:
    """Writing and reading give the same key, also through JSON text."""
    _, public = jwk.generate(use)

    assert jwk.public_from_jwk(json.loads(json.dumps(jwk.public_jwk(use, public)))) == (use, public)


@pytest.mark.parametrize("use", USES)
def test_a_private_key_comes_back_from_its_json(use: KeyUse) -> None:
    """Writing and reading give the same seed."""
    seed, public = jwk.generate(use)

    assert jwk.seed_from_jwk(jwk.private_jwk(use, public, seed)) == (use, seed)
    assert jwk.public_of(use, seed) == public


def test_members_are_those_of_the_rfcs() -> None:
    """OKP has crv, kty, x and d; AKP has alg, kty, pub and priv."""
    shapes = {use: sorted(jwk.private_jwk(use, b"\1" * 32, b"\2" * 32)) for use in USES}

    assert shapes[KeyUse.ED25519] == ["crv", "d", "kty", "x"]
    assert shapes[KeyUse.ML_DSA_65] == shapes[KeyUse.HPKE] == ["alg", "kty", "priv", "pub"]


@pytest.mark.parametrize("use", USES)
def test_a_thumbprint_is_sha_256_of_the_sorted_required_members(use: KeyUse) -> None:
    """RFC 7638, computed here by other means."""
    _, public = jwk.generate(use)
    text = json.dumps(jwk.public_jwk(use, public), sort_keys=True, separators=(",", ":")).encode()
    expected = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()

    assert jwk.thumbprint(use, public) == expected


def test_the_thumbprint_of_rfc_8037_is_ours() -> None:
    """The Ed25519 key of RFC 8037 appendix A.3 has the thumbprint that stands there."""
    use, public = jwk.public_from_jwk(
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    )

    assert jwk.thumbprint(use, public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


_, ED25519 = jwk.generate(KeyUse.ED25519)
_, ML_DSA = jwk.generate(KeyUse.ML_DSA_65)
OKP = jwk.public_jwk(KeyUse.ED25519, ED25519)
AKP = jwk.public_jwk(KeyUse.ML_DSA_65, ML_DSA)

BAD_PUBLIC: dict[str, Any] = {
    "no object": ["OKP"],
    "empty": {},
    "another curve": {**OKP, "crv": "X25519"},
    "another key type": {**OKP, "kty": "EC"},
    "another algorithm": {**AKP, "alg": "ML-DSA-44"},
    "a list for the algorithm": {**AKP, "alg": ["ML-DSA-65"]},
    "a further member": {**OKP, "use": "sig"},
    "its own kid": {**OKP, "kid": jwk.thumbprint(KeyUse.ED25519, ED25519)},
    "a private part": {**OKP, "d": OKP["x"]},
    "no key": {"crv": "Ed25519", "kty": "OKP"},
    "a number for the key": {**OKP, "x": 1},
    "padding": {**OKP, "x": OKP["x"] + "="},
    "an empty key": {**OKP, "x": ""},
    "a short key": {**AKP, "pub": AKP["pub"][:-4]},
    "a key of another algorithm": {**AKP, "alg": "HPKE-9-KE"},
}


@pytest.mark.parametrize("name", BAD_PUBLIC)
def test_another_public_shape_is_refused(name: str) -> None:
    """A reader that took more would let two texts mean one key."""
    with pytest.raises(ValueError, match=r"^(no|not) ") as caught:
        jwk.public_from_jwk(BAD_PUBLIC[name])

    assert OKP["x"] not in str(caught.value)


def test_another_private_shape_is_refused() -> None:
    """Public and private part must belong together and nothing else be there."""
    seed, public = jwk.generate(KeyUse.ED25519)
    good = jwk.private_jwk(KeyUse.ED25519, public, seed)
    bad = [
        {**good, "x": OKP["x"]},
        {**good, "d": good["d"][:-4]},
        {**good, "alg": "Ed25519"},
        {name: value for name, value in good.items() if name != "d"},
        {name: value for name, value in good.items() if name != "x"},
        jwk.public_jwk(KeyUse.ED25519, public),
    ]

    for shape in bad:
        with pytest.raises(ValueError, match=r"^(no|not) "):
            jwk.seed_from_jwk(shape)
