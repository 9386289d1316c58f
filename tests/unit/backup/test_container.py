# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The form of a backup file, and that nothing of it can be changed."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.backup.container import Frame, Sealing, frames, look
from broker.core.errors import BackupInvalid
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse
from broker.security import jwk
from broker.security.backup_file import CHUNK_BYTES, RecoveryKey, begin, open_head, read_head, sign_backup
from broker.security.suite import KeyPairSigner, KeyRing

EE = CountryCode("EE")
MADE = "2026-11-22T03:00:00.000Z"
SEED, PUBLIC = jwk.generate(KeyUse.HPKE)
KEY = RecoveryKey(public=PUBLIC)
SIGNER_SEEDS = {use: jwk.generate(use) for use in (KeyUse.ED25519, KeyUse.ML_DSA_65)}
SIGNER = KeyPairSigner(SIGNER_SEEDS[KeyUse.ED25519][0], SIGNER_SEEDS[KeyUse.ML_DSA_65][0])
PUBLICS = {jwk.thumbprint(use, public): public for use, (_, public) in SIGNER_SEEDS.items()}
OPENER = KeyRing({KEY.kid: SEED})


def written(*parts: Frame) -> bytes:
    """Return the file of these frames."""
    head, cipher = begin(country=EE, kind="data", made=MADE, recipients=[KEY])
    stream = io.BytesIO()
    sealing = Sealing(stream, head, cipher)
    for part in parts:
        sealing.put(part.kind, part.payload)
    sealing.sign(sign_backup(sealing.close(), read_head(head), SIGNER, PUBLICS))
    return stream.getvalue()


def read(raw: bytes) -> list[Frame]:
    """Return the frames of a file."""
    stream = io.BytesIO(raw)
    return list(frames(stream, open_head(look(stream).raw_head, OPENER)))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 5, CHUNK_BYTES - 4, 3 * CHUNK_BYTES])
def test_what_is_put_in_comes_out(size: int) -> None:
    """Whatever the length is, also where a frame ends with a chunk."""
    parts = [Frame(kind=b"D", payload=b"x" * size), Frame(kind=b"R", payload=b"")]
    assert read(written(*parts)) == parts


RAW = written(Frame(kind=b"D", payload=b"y" * 600))


@settings(max_examples=60)
@given(st.integers(min_value=0, max_value=len(RAW) - 1), st.integers(min_value=1, max_value=255))
def test_one_changed_byte_anywhere_is_found(place: int, change: int) -> None:
    """The signature covers every byte before it, and itself verifies."""
    changed = bytearray(RAW)
    changed[place] ^= change
    with pytest.raises(BackupInvalid):
        read(bytes(changed))


@pytest.mark.parametrize("cut", [1, 100, 5000, len(RAW) - 3])
def test_what_is_cut_off_or_added_is_found(cut: int) -> None:
    """A shorter file and a longer one are no backup."""
    with pytest.raises(BackupInvalid):
        read(RAW[:-cut])
    with pytest.raises(BackupInvalid, match="follows behind"):
        read(RAW + b"x")


def test_without_a_recovery_key_the_whole_is_still_checked() -> None:
    """What it is stands in clear; what it holds does not."""
    outside = look(io.BytesIO(RAW))
    assert (outside.head.country, outside.head.kind, outside.head.made, outside.head.kids) == (
        EE,
        "data",
        MADE,
        (KEY.kid,),
    )
    assert outside.size == len(RAW)
    assert b"yyyy" not in RAW
    other = jwk.generate(KeyUse.HPKE)
    stranger = KeyRing({jwk.thumbprint(KeyUse.HPKE, other[1]): other[0]})
    with pytest.raises(BackupInvalid, match="not encrypted to this"):
        open_head(outside.raw_head, stranger)


def test_a_chunk_in_another_place_does_not_open() -> None:
    """Two chunks that change places, the last one missing, a chunk twice: the number is part of its nonce."""
    _, cipher = begin(country=EE, kind="data", made=MADE, recipients=[KEY])
    one, two = cipher.seal(b"one", last=False), cipher.seal(b"two", last=True)
    assert cipher.again().open(one, last=False) == b"one"
    for wrong, last in ((two, True), (one, True)):
        with pytest.raises(BackupInvalid):
            cipher.again().open(wrong, last=last)
    reading = cipher.again()
    reading.open(one, last=False)
    with pytest.raises(BackupInvalid):
        reading.open(one, last=False)


def test_every_recovery_key_opens_it() -> None:
    """Two officers, either of them alone."""
    seeds = [jwk.generate(KeyUse.HPKE) for _ in range(2)]
    head, cipher = begin(
        country=EE, kind="data", made=MADE, recipients=[RecoveryKey(public=public) for _, public in seeds]
    )
    sealed = cipher.seal(b"both", last=True)
    for seed, public in seeds:
        ring = KeyRing({jwk.thumbprint(KeyUse.HPKE, public): seed})
        assert open_head(head, ring).open(sealed, last=True) == b"both"


def test_nobody_to_open_it_is_refused() -> None:
    """A backup for nobody is none; neither is one to something that is no key."""
    with pytest.raises(BackupInvalid, match="no recovery key"):
        begin(country=EE, kind="data", made=MADE, recipients=[])
    with pytest.raises(BackupInvalid, match="not a public key"):
        begin(country=EE, kind="data", made=MADE, recipients=[RecoveryKey(public=b"no key")])
