# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about sealing a file at one office and opening it at another."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from broker.core.attachments import SEALED_TYPE
from broker.core.errors import AttachmentRefused, BrokerError, HeaderMismatch, UnknownRecipientKey
from broker.core.file_types import FileInspector
from broker.sealed.files import open_file, seal_file
from broker.testing.offices import authority_key, office, opener_of
from tests.unit.sealed.conftest import RECIPIENT, SENDER

PDF = b"%PDF-1.7\n" + b"Test-photograph " * 5_000 + b"\n%%EOF\n"


def sealed(raw: bytes = PDF, name: str = "Test-Mari.pdf") -> bytes:
    """Return a file sealed to Finland's office."""
    target = io.BytesIO()
    seal_file(io.BytesIO(raw), target, name=name, sender=SENDER, recipient=RECIPIENT, key=authority_key(RECIPIENT))
    return target.getvalue()


def test_a_file_comes_back_with_its_name_and_type() -> None:
    """Nothing of either is outside, and a node sees a sealed file and no more."""
    raw, target = sealed(), io.BytesIO()
    what = open_file(io.BytesIO(raw), target, opener=opener_of(RECIPIENT), sender=SENDER, recipient=RECIPIENT)
    assert (target.getvalue(), what.name, what.media_type) == (PDF, "Test-Mari.pdf", "application/pdf")
    assert not any(word in raw for word in (b"Test-Mari", b"application/pdf", b"Test-photograph"))
    inspector = FileInspector()
    inspector.feed(raw)
    assert inspector.media_type() == SEALED_TYPE


def test_only_the_office_that_it_was_sealed_to_opens_it_and_only_from_its_sender() -> None:
    """Another office's key, another sender, another recipient."""
    raw = sealed()
    for opener, sender, recipient, error in (
        (opener_of(office("FI/court")), SENDER, RECIPIENT, UnknownRecipientKey),
        (opener_of(RECIPIENT), office("EE/court"), RECIPIENT, HeaderMismatch),
        (opener_of(RECIPIENT), SENDER, office("FI/court"), HeaderMismatch),
    ):
        with pytest.raises(error):
            open_file(io.BytesIO(raw), io.BytesIO(), opener=opener, sender=sender, recipient=recipient)


@pytest.mark.parametrize("raw", [b"MZ\x90\x00" + b"\x00" * 100, b""])
def test_what_may_not_travel_is_not_sealed(raw: bytes) -> None:
    """Sealing is no way around the rules of attachments."""
    with pytest.raises(AttachmentRefused):
        sealed(raw, "a.txt")


@pytest.mark.parametrize("name", ["../a.pdf", "a.txt", "a\u202e.pdf", ".pdf"])
def test_a_hostile_name_is_not_sealed(name: str) -> None:
    """It becomes a file on somebody's desk."""
    with pytest.raises(AttachmentRefused):
        sealed(PDF, name)


def test_a_changed_byte_anywhere_is_refused() -> None:
    """In the head and in every segment."""
    raw = sealed()
    for place in (0, 5, 100, 2_000, len(raw) // 2, len(raw) - 1):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises(BrokerError):
            open_file(io.BytesIO(bytes(changed)), io.BytesIO(), opener=opener_of(RECIPIENT), sender=SENDER, recipient=RECIPIENT)  # fmt: skip
    for cut in (raw[:-1], raw + b"\x00", raw[: len(raw) // 2], b""):
        with pytest.raises(BrokerError):
            open_file(io.BytesIO(cut), io.BytesIO(), opener=opener_of(RECIPIENT), sender=SENDER, recipient=RECIPIENT)


def test_a_large_file_takes_little_memory() -> None:
    """Some parts of it at a time, on both sides."""

    class Zeros(io.RawIOBase):
        """Ten MiB of text that stand nowhere."""

        left = 10 * 1024 * 1024

        def read(self, size: int = -1) -> bytes:
            taken = min(self.left, size)
            self.left -= taken
            return b"a" * taken

        def seek(self, offset: int, whence: int = 0) -> int:
            self.left = 10 * 1024 * 1024
            return 0

    class Counted(io.RawIOBase):
        """Counts what is written."""

        size = 0

        def write(self, part: object) -> int:
            self.size += len(part)  # type: ignore[arg-type]
            return len(part)  # type: ignore[arg-type]

    counted = Counted()
    tracemalloc.start()
    seal_file(Zeros(), counted, name="a.txt", sender=SENDER, recipient=RECIPIENT, key=authority_key(RECIPIENT))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counted.size > 10 * 1024 * 1024
    assert peak < 8 * 1024 * 1024
