# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Signers and openers over private keys held in this process."""

import pytest

from broker.core.errors import DecryptFailed, UnknownRecipientKey
from broker.core.ids import KeyId
from broker.core.trust import KeyUse
from broker.security import jwk, primitives, suite

SEED = bytes(range(32))


def _sealed(public: bytes, info: bytes = suite.HPKE_INFO) -> tuple[bytes, bytes]:
    sealed = suite.hpke().encrypt(bytes(32), primitives.hpke_public(public), info)
    return sealed[: suite.EK_LENGTH], sealed[suite.EK_LENGTH :]


def test_a_signer_names_its_keys_and_its_signatures_verify() -> None:
    """Both signatures verify under the keys that the ids name."""
    signer = suite.KeyPairSigner(SEED, SEED)
    ed25519, ml_dsa = (jwk.public_of(use, SEED) for use in suite.SIGNATURES)

    primitives.ed25519_public(ed25519).verify(signer.sign_ed25519(b"m"), b"m")
    primitives.ml_dsa_public(ml_dsa).verify(signer.sign_ml_dsa(b"m"), b"m")
    assert signer.ed25519_kid == jwk.thumbprint(KeyUse.ED25519, ed25519)
    assert signer.ml_dsa_kid == jwk.thumbprint(KeyUse.ML_DSA_65, ml_dsa)


def test_signatures_have_the_suites_lengths() -> None:
    """64 and 3,309 bytes."""
    signer = suite.KeyPairSigner(SEED, SEED)

    assert (len(signer.sign_ed25519(b"m")), len(signer.sign_ml_dsa(b"m"))) == suite.SIGNATURE_LENGTHS


def test_a_ring_opens_what_was_sealed_to_one_of_its_keys() -> None:
    """Each of two keys opens its own."""
    keys = [jwk.generate(KeyUse.HPKE) for _ in range(2)]
    kids = [jwk.thumbprint(KeyUse.HPKE, public) for _, public in keys]
    ring = suite.KeyRing({kid: seed for kid, (seed, _) in zip(kids, keys, strict=True)})

    for kid, (_, public) in zip(kids, keys, strict=True):
        ek, encrypted = _sealed(public)
        assert ring.holds(kid)
        assert ring.open(kid, ek=ek, ciphertext=encrypted, info=suite.HPKE_INFO) == bytes(32)


def test_a_ring_does_not_open_with_a_key_it_does_not_hold() -> None:
    """An empty ring holds nothing."""
    ring = suite.KeyRing({})

    assert not ring.holds(KeyId("A" * 43))
    with pytest.raises(UnknownRecipientKey):
        ring.open(KeyId("A" * 43), ek=b"", ciphertext=b"", info=b"")


@pytest.mark.parametrize("fault", ["ek", "ciphertext", "info", "length"])
def test_a_ring_refuses_what_does_not_open(fault: str) -> None:
    """Whatever is wrong, the answer is the same."""
    seed, public = jwk.generate(KeyUse.HPKE)
    kid = jwk.thumbprint(KeyUse.HPKE, public)
    ek, encrypted = _sealed(public)
    asked = {"ek": ek, "ciphertext": encrypted, "info": suite.HPKE_INFO}
    asked |= {"length": {"ek": b""}, "info": {"info": b""}}.get(fault) or {fault: bytes(len(asked[fault]))}

    with pytest.raises(DecryptFailed):
        suite.KeyRing({kid: seed}).open(kid, **asked)


def test_a_ring_refuses_a_key_under_another_id() -> None:
    """An id that is not the key's thumbprint would make messages unreadable later."""
    seed, _ = jwk.generate(KeyUse.HPKE)

    with pytest.raises(ValueError, match="thumbprint"):
        suite.KeyRing({KeyId("A" * 43): seed})


def test_the_info_is_the_drafts() -> None:
    """The bytes stand in PROTOCOL 6.4."""
    assert bytes.fromhex("4a4f53452d48504b452072637074ff4132353647434dff") == suite.HPKE_INFO
