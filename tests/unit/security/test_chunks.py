# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks on the way and at rest; the vectors hold what refuses them."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.attachments import CHUNK_BYTES, Attachment, chunk_count
from broker.core.canonical import b64url_encode, digest
from broker.core.errors import BrokerError, ChunkUnknown, DecryptFailed
from broker.core.ids import CountryCode, MessageId
from broker.core.messages import SealedChunk
from broker.security.chunks import (
    MAX_CHUNK,
    handle_of,
    is_chunk,
    open_chunk,
    open_stored,
    parse_chunk,
    seal_chunk,
    seal_stored,
)

EE, FI = CountryCode("EE"), CountryCode("FI")
MESSAGE = MessageId("019aa9c1-7c00-7abc-8def-0123456789ab")


def described(plain: bytes, key: int = 1) -> Attachment:
    """The description of these bytes."""
    return Attachment(
        name="x.txt", kind="OTHER", media_type="text/plain", size=len(plain), digest=digest(plain),
        key=b64url_encode(bytes([key]) * 32), chunks=chunk_count(len(plain)),
    )  # fmt: skip


def sealed(plain: bytes, index: int = 0, key: int = 1) -> SealedChunk:
    """One chunk of these bytes."""
    part = plain[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
    return seal_chunk(part, described(plain, key), index, sender=EE, recipient=FI, message=MESSAGE)


def test_every_chunk_of_a_file_opens_in_its_place_and_nowhere_else() -> None:
    """Two whole chunks and a rest."""
    plain = bytes(range(256)) * 4096 * 2 + b"rest"
    chunks = [sealed(plain, index) for index in range(3)]

    assert b"".join(open_chunk(chunk.raw, described(plain)) for chunk in chunks) == plain
    assert [parse_chunk(chunk.raw).index for chunk in chunks] == [0, 1, 2]
    assert [len(chunk.raw) for chunk in chunks] == [MAX_CHUNK, MAX_CHUNK, 65 + 16_384 + 16]


def test_the_same_chunk_has_the_same_bytes_every_time() -> None:
    """What is sent again after a loss is a repeat."""
    assert sealed(b"x") == sealed(b"x")


def test_small_files_have_one_length() -> None:
    """A line and sixteen KiB cannot be told apart on the way."""
    assert len(sealed(b"x").raw) == len(sealed(b"x" * 16_384).raw) < len(sealed(b"x" * 16_385).raw)


def test_nothing_in_the_open_names_the_file() -> None:
    """Neither its digest nor a handle that known files could be tried against."""
    one, other = sealed(b"x", key=1), sealed(b"x", key=2)

    assert bytes.fromhex(digest(b"x")) not in one.raw
    assert handle_of(described(b"x", 1)) != handle_of(described(b"x", 2))
    assert one.raw[65:] != other.raw[65:]


def test_a_chunk_of_another_attachment_is_unknown() -> None:
    """Another key, or another count."""
    for other in (described(b"x", key=2), replace(described(b"x"), chunks=2)):
        with pytest.raises(ChunkUnknown):
            open_chunk(sealed(b"x").raw, other)


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 65 + 16_384 + 15), flip=st.integers(1, 255))
def test_no_changed_byte_passes(at: int, flip: int) -> None:
    """Header, ciphertext and tag are covered; only our own errors come out."""
    raw = bytearray(sealed(b"x").raw)
    raw[at] ^= flip

    with pytest.raises(BrokerError):
        open_chunk(bytes(raw), described(b"x"))


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=200) | st.binary(max_size=80).map(lambda rest: b"TRMC\x01" + rest + b"\x00" * 17_000))
def test_any_bytes_are_a_chunk_or_our_error(raw: bytes) -> None:
    """Nothing else escapes the reader."""
    with contextlib.suppress(BrokerError):
        assert parse_chunk(raw).count <= 100


def test_chunks_and_envelopes_are_told_apart_by_their_beginning() -> None:
    """An envelope is JSON."""
    assert is_chunk(sealed(b"x").raw)
    assert is_chunk(b"TRMC\x07")
    assert not is_chunk(b'{"ciphertext":"')
    assert not is_chunk(b"")


def test_a_stored_chunk_opens_in_its_place_alone() -> None:
    """Under its key and index; written twice it has other bytes."""
    key = b"\x05" * 32
    stored = seal_stored(b"plain", key, 3)

    assert open_stored(stored, key, 3) == b"plain"
    assert seal_stored(b"plain", key, 3) != stored
    for wrong_key, index, raw in ((key, 2, stored), (b"\x06" * 32, 3, stored), (key, 3, stored[:-1]), (key, 3, b"")):
        with pytest.raises(DecryptFailed):
            open_stored(raw, wrong_key, index)
