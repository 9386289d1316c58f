# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Examples that others published, read by our parts; where they come from stands in README.md beside this file."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core import canonical
from broker.core.errors import DecryptFailed, NotCanonical
from broker.core.trust import KeyUse
from broker.security import jwk, primitives, suite

EXTERNAL = Path(__file__).parent / "external"
RFC8785 = EXTERNAL / "rfc8785"
ACCEPTED = ("arrays", "structures", "unicode")
REFUSED = ("french", "values", "weird")  # member names outside ASCII, fractions


def _load(name: str) -> dict[str, Any]:
    return json.loads((EXTERNAL / name).read_text())


def _key(document: dict[str, Any]) -> tuple[str, dict[str, str]]:
    members = dict(document["jwk"])
    return members.pop("kid"), members


def test_rfc_9964_key_has_its_thumbprint() -> None:
    """The example's seed gives the example's public key, whose thumbprint is the example's kid."""
    kid, key = _key(_load("rfc9964-ml-dsa-65.json"))
    use, seed = jwk.seed_from_jwk(key)

    assert use is KeyUse.ML_DSA_65
    assert jwk.thumbprint(use, jwk.public_of(use, seed)) == kid


def test_rfc_9964_signature_verifies() -> None:
    """The example's signature verifies, and no longer once a byte of what it is over differs."""
    document = _load("rfc9964-ml-dsa-65.json")
    key = primitives.ml_dsa_public(canonical.b64url_decode(document["jwk"]["pub"]))
    signed, _, value = document["jws"].rpartition(".")

    key.verify(canonical.b64url_decode(value), signed.encode())
    with pytest.raises(InvalidSignature):
        key.verify(canonical.b64url_decode(value), signed.encode() + b"A")


def test_hpke_9_ke_key_has_its_thumbprint() -> None:
    """The example's seed gives the example's public key, whose thumbprint is the example's kid."""
    kid, key = _key(_load("hpke-9-ke.json"))
    use, seed = jwk.seed_from_jwk(key)

    assert use is KeyUse.HPKE
    assert jwk.thumbprint(use, jwk.public_of(use, seed)) == kid


@pytest.mark.parametrize("form", ["compact", "flattened"])
def test_hpke_9_ke_examples_open(form: str) -> None:
    """Both serialisations of the example open with our info, lengths and key derivation."""
    document = _load("hpke-9-ke.json")
    protected, encrypted_key, iv, ciphertext, tag, aad = _parts(document, form)
    ek = canonical.b64url_decode(json.loads(canonical.b64url_decode(protected))["ek"])
    ring, kid = _ring(document)

    content_key = ring.open(kid, ek=ek, ciphertext=canonical.b64url_decode(encrypted_key), info=suite.HPKE_INFO)
    sealed = canonical.b64url_decode(ciphertext) + canonical.b64url_decode(tag)
    plaintext = AESGCM(content_key).decrypt(canonical.b64url_decode(iv), sealed, aad.encode())

    assert (len(content_key), len(ek)) == (suite.CONTENT_KEY_LENGTH, suite.EK_LENGTH)
    assert plaintext.decode().startswith("You can trust us to stick with you")


def test_hpke_9_ke_example_does_not_open_with_another_info() -> None:
    """The info binds the key to its use."""
    document = _load("hpke-9-ke.json")
    protected, encrypted_key, *_ = _parts(document, "compact")
    ek = canonical.b64url_decode(json.loads(canonical.b64url_decode(protected))["ek"])
    ring, kid = _ring(document)

    with pytest.raises(DecryptFailed):
        ring.open(kid, ek=ek, ciphertext=canonical.b64url_decode(encrypted_key), info=b"")


def _ring(document: dict[str, Any]) -> tuple[suite.KeyRing, Any]:
    _, key = _key(document)
    use, seed = jwk.seed_from_jwk(key)
    kid = jwk.thumbprint(use, jwk.public_of(use, seed))
    return suite.KeyRing({kid: seed}), kid


def _parts(document: dict[str, Any], form: str) -> tuple[str, str, str, str, str, str]:
    if form == "compact":
        protected, encrypted_key, iv, ciphertext, tag = document["compact"].split(".")
        return protected, encrypted_key, iv, ciphertext, tag, protected
    jwe = document["flattened"]
    aad = f"{jwe['protected']}.{jwe['aad']}"  # RFC 7516 section 5.1, with a member that our own shape does not have
    return jwe["protected"], jwe["encrypted_key"], jwe["iv"], jwe["ciphertext"], jwe["tag"], aad


@pytest.mark.parametrize("name", ACCEPTED)
def test_rfc_8785_outputs_within_our_bounds_are_accepted(name: str) -> None:
    """What RFC 8785 gives for these is canonical here, and its input gives these bytes."""
    output = (RFC8785 / f"{name}.output.json").read_bytes()
    given = json.loads((RFC8785 / f"{name}.input.json").read_bytes())
    whole = json.loads(json.dumps(given), parse_float=lambda text: int(float(text)))  # 1e0 and the like

    assert canonical.dump(canonical.parse(output)) == output
    assert canonical.dump(whole) == output


@pytest.mark.parametrize("name", REFUSED)
def test_rfc_8785_outputs_outside_our_bounds_are_refused(name: str) -> None:
    """Fractions and member names outside ASCII are not for us."""
    with pytest.raises(NotCanonical):
        canonical.parse((RFC8785 / f"{name}.output.json").read_bytes())


@pytest.mark.parametrize("name", ACCEPTED + REFUSED)
def test_rfc_8785_inputs_are_refused(name: str) -> None:
    """An input differs from its canonical form."""
    with pytest.raises(NotCanonical):
        canonical.parse((RFC8785 / f"{name}.input.json").read_bytes())
