# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Raw keys become objects of their algorithm or are refused."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from broker.core.trust import KeyUse
from broker.security import primitives

SEED = bytes(range(32))


@pytest.mark.parametrize("use", list(KeyUse))
def test_a_seed_gives_a_public_key_of_its_length(use: KeyUse) -> None:
    """The public key has the algorithm's length, loads, and is the same each time."""
    public = primitives.public_of(use, SEED)

    assert len(public) == primitives.PUBLIC_LENGTHS[use]
    assert primitives.load_public(use, public) is not None
    assert primitives.public_of(use, SEED) == public


def test_the_hybrid_seed_expands_to_both_private_keys() -> None:
    """SHAKE256 of the seed is the ML-KEM seed followed by the X25519 scalar."""
    expanded = hashlib.shake_256(SEED).digest(96)
    ml_kem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).public_key().public_bytes_raw()
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:]).public_key().public_bytes_raw()

    assert primitives.public_of(KeyUse.HPKE, SEED) == ml_kem + x25519


@pytest.mark.parametrize("use", list(KeyUse))
@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_seed_of_another_length_is_refused(use: KeyUse, length: int) -> None:
    """All three private forms are 32 bytes."""
    with pytest.raises(ValueError, match="32"):
        primitives.public_of(use, bytes(length))


@pytest.mark.parametrize("use", list(KeyUse))
def test_a_public_key_of_another_length_is_refused(use: KeyUse) -> None:
    """One byte less is no public key."""
    public = primitives.public_of(use, SEED)

    with pytest.raises(ValueError, match="public key"):
        primitives.load_public(use, public[:-1])


def test_a_hybrid_key_outside_the_field_is_refused() -> None:
    """The ML-KEM part must decode to coefficients below the modulus."""
    with pytest.raises(ValueError, match="public key"):
        primitives.hpke_public(b"\xff" * 1216)


@pytest.mark.parametrize("point", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18])
def test_a_hybrid_key_to_which_nobody_can_encrypt_is_told_apart(point: int) -> None:
    """With an X25519 part of small order there is no shared secret; every other key is usable."""
    public = primitives.public_of(KeyUse.HPKE, SEED)
    primitives.check_usable(KeyUse.HPKE, public)
    with pytest.raises(ValueError, match=r".+"):
        primitives.check_usable(KeyUse.HPKE, public[:1184] + point.to_bytes(32, "little"))


@pytest.mark.parametrize("sign", [0, 2**255])
@pytest.mark.parametrize(
    "height",
    [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, 2**255 - 1]
    + [int.from_bytes(bytes.fromhex(text), "little") for text in (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )],
)  # fmt: skip
def test_an_ed25519_key_under_which_libraries_differ_is_told_apart(height: int, sign: int) -> None:
    """A point of small order, or another spelling of a point: the libraries of two countries would judge one signature differently."""
    primitives.check_usable(KeyUse.ED25519, primitives.public_of(KeyUse.ED25519, SEED))
    primitives.check_usable(KeyUse.ML_DSA_65, primitives.public_of(KeyUse.ML_DSA_65, SEED))
    with pytest.raises(ValueError, match=r".+"):
        primitives.check_usable(KeyUse.ED25519, (height | sign).to_bytes(32, "little"))


def test_fresh_seeds_differ() -> None:
    """Two seeds are never the same."""
    assert primitives.fresh_seed() != primitives.fresh_seed()
    assert len(primitives.fresh_seed()) == primitives.SEED_LENGTH
