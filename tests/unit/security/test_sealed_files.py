# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about a file encrypted to one office, segment by segment."""

from __future__ import annotations

import hashlib

import pytest

from broker.core import canonical
from broker.core.errors import AttachmentRefused, AttachmentSpoiled, ContentShape, DecryptFailed, EnvelopeMembers
from broker.core.ids import Digest
from broker.security import nested, sealed_files
from broker.security.nested import NestedKind
from broker.security.sealed_files import HEAD_LENGTHS, SEGMENT, Described, padded_size
from broker.testing.offices import authority_key, office, opener_of

DESK = office("FI/desk")
KEY = authority_key(DESK)
PROFILE = {"v": 1}


def described(raw: bytes) -> Described:
    """Return what the head says of these bytes."""
    return Described(
        name="Test.txt", media_type="text/plain", size=len(raw), digest=Digest(hashlib.sha256(raw).hexdigest()), key=b"k" * 32
    )  # fmt: skip


def sealed(raw: bytes) -> tuple[bytes, list[bytes]]:
    """Return head and segments."""
    what = described(raw)
    head = sealed_files.sealed_head(what, kid=KEY.kid, public=KEY.public, profile=PROFILE)
    return head, list(sealed_files.sealed_segments([raw[:10], raw[10:]], what, head))


def opened(head: bytes, segments: list[bytes]) -> bytes:
    """Return what the desk reads, fed in pieces of an odd size."""
    read, begin = sealed_files.read_head(head + b"".join(segments)[:100])
    what = sealed_files.open_head(read, opener_of(DESK), profile=PROFILE)
    whole = (head + b"".join(segments))[begin:]
    parts = (whole[at : at + 50_001] for at in range(0, len(whole), 50_001))
    return b"".join(sealed_files.segments_of(parts, what, read))


@pytest.mark.parametrize("size", [1, 16_384, 16_385, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 1_048_577])
def test_a_file_of_any_size_comes_back_and_its_length_says_little(size: int) -> None:
    """Padding is inside, and is taken away again."""
    raw = b"x" * size
    head, segments = sealed(raw)
    assert opened(head, segments) == raw
    assert sum(len(item) - 16 for item in segments) == padded_size(size)


@pytest.mark.parametrize(
    ("size", "padded"),
    [(1, 16_384), (16_384, 16_384), (16_385, 32_768), (1_048_576, 1_048_576), (1_048_577, 2_097_152)],
)
def test_sizes_are_few(size: int, padded: int) -> None:
    """Powers of two up to a MiB, then whole MiB."""
    assert padded_size(size) == padded


def test_segments_cannot_be_moved_left_out_or_added() -> None:
    """Each proves its place, the last that it is the last, all that they are this file's."""
    head, segments = sealed(b"x" * (3 * SEGMENT))
    swapped = [segments[1], segments[0], *segments[2:]]
    other = sealed(b"x" * (3 * SEGMENT))[1]
    for wrong, error in (
        (swapped, DecryptFailed),
        (segments[:-1], AttachmentSpoiled),
        ([*segments, segments[-1]], AttachmentSpoiled),
        ([*segments, b"\x00"], AttachmentSpoiled),
        ([other[0], *segments[1:]], DecryptFailed),
        ([], AttachmentSpoiled),
    ):
        with pytest.raises(error):
            opened(head, wrong)


def test_bytes_behind_the_file_are_zeros() -> None:
    """Nothing travels unseen in the padding."""
    what = described(b"x" * 100)
    more = Described(name="a", media_type="text/plain", size=200, digest=described(b"x" * 200).digest, key=what.key)
    head = sealed_files.sealed_head(what, kid=KEY.kid, public=KEY.public, profile=PROFILE)
    with pytest.raises(AttachmentSpoiled):
        opened(head, list(sealed_files.sealed_segments([b"x" * 200], more, head)))


def test_a_file_that_changes_while_it_is_sealed_is_refused() -> None:
    """Shorter, longer or other bytes than were looked at."""
    what = described(b"x" * 100)
    head = sealed_files.sealed_head(what, kid=KEY.kid, public=KEY.public, profile=PROFILE)
    for raw in (b"x" * 99, b"x" * 101, b"y" * 100):
        with pytest.raises(AttachmentRefused):
            list(sealed_files.sealed_segments([raw], what, head))


@pytest.mark.parametrize(
    "beginning",
    [b"", b"TRMS", b"TRMS\x02\x00\x00\x00\x02{}", b"TRMS\x01\xff\xff\xff\xff{}", b"TRMS\x01\x00\x00\x00\x02{}"],
)
def test_what_is_no_head_is_refused(beginning: bytes) -> None:
    """Whatever length it claims."""
    with pytest.raises(EnvelopeMembers):
        sealed_files.read_head(beginning)


@pytest.mark.parametrize(
    "inside",
    [
        b"{}",
        b'{"digest":1,"key":"","media_type":"text/plain","name":"a.txt","size":1}',
        b'{"digest":"00","key":"","media_type":"text/plain","name":"a.txt","size":true}',
    ],
)
def test_an_inside_that_describes_no_file_is_refused(inside: bytes) -> None:
    """The office believes nothing that a hostile sender could write there."""
    jwe = nested.seal_to_office(
        inside, kind=NestedKind.FILE, kid=KEY.kid, public=KEY.public, profile=PROFILE, lengths=HEAD_LENGTHS
    )
    raw = canonical.dump({"jwe": jwe, "kid": str(KEY.kid)})
    read, _ = sealed_files.read_head(b"TRMS\x01" + len(raw).to_bytes(4, "big") + raw)
    with pytest.raises(ContentShape):
        sealed_files.open_head(read, opener_of(DESK), profile=PROFILE)


def test_what_is_shown_of_a_file_hides_name_and_key() -> None:
    """A description may be logged by mistake."""
    shown = repr(described(b"x"))
    assert "Test.txt" not in shown
    assert "kkkk" not in shown
