# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a message says about its attachments, and which names, sizes and types may travel."""

from dataclasses import replace

import pytest

from broker.core.attachments import (
    CHUNK_BYTES,
    MAX_ATTACHMENTS,
    MAX_BYTES,
    MEDIA_TYPES,
    Attachment,
    check_attachments,
    check_name,
    chunk_count,
    chunk_size,
    decode_attachments,
    encode_attachment,
    shown_attachment,
)
from broker.core.errors import AttachmentRefused
from broker.core.ids import Digest
from broker.schema_files import read_schema_file


def attachment(number: int = 1, **changes: object) -> Attachment:
    """A small text."""
    plain = Attachment(
        name=f"note {number}.txt", kind="OTHER", media_type="text/plain", size=10, digest=Digest(f"{number:064x}"),
        key="A" * 43, chunks=1,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name fields


def test_a_description_survives_its_json_form() -> None:
    """What is written is read again."""
    assert decode_attachments([encode_attachment(attachment())]) == (attachment(),)


def test_the_key_is_neither_shown_nor_printed() -> None:
    """Interfaces and logs see a file's description without what opens it, and no repr holds its name."""
    assert "key" not in shown_attachment(attachment())
    assert "AAAA" not in repr(attachment())
    assert "note" not in repr(attachment())


@pytest.mark.parametrize(
    "wrong",
    [
        None, [], [{}], [None], [encode_attachment(attachment())] * 11,
        [{**encode_attachment(attachment()), "more": 1}],
        [{**encode_attachment(attachment()), "size": True}],
        [{**encode_attachment(attachment()), "size": "10"}],
        [{**encode_attachment(attachment()), "key": "AAAA"}],
        [{**encode_attachment(attachment()), "digest": "AB" * 32}],
        [{**encode_attachment(attachment()), "name": ""}],
    ],
)  # fmt: skip
def test_what_is_no_description_is_refused(wrong: object) -> None:
    """One error, whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011  its text is never shown
        decode_attachments(wrong)


@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, MAX_BYTES])
def test_chunks_hold_exactly_the_file(size: int) -> None:
    """All chunks together are as large as the file, and only the last one is smaller."""
    sizes = [chunk_size(size, index) for index in range(chunk_count(size))]

    assert sum(sizes) == size
    assert all(part == CHUNK_BYTES for part in sizes[:-1])
    assert 0 < sizes[-1] <= CHUNK_BYTES


@pytest.mark.parametrize(
    "name",
    [
        "birth certificate.txt",
        "Õigeksvõtt nr 7.TXT",
        "sünnitunnistus.2026.txt",
        "a" * 116 + ".txt",
        "報告.txt",
        "\U00011f02 Kawi of Unicode 15.txt",
        "\U0002ebf0 of 15.1.txt",
        "\U000105c9 of 16.txt",
        "\U000afffd of none.txt",
    ],
)
def test_ordinary_names_pass(name: str) -> None:
    """People name their files in their own language."""
    check_name(name, "text/plain", where="/name")


@pytest.mark.parametrize(
    "name",
    [
        "", ".txt", "txt", "note.pdf", "note.txt.exe", "note", "../note.txt", "a/b.txt", "a\\b.txt", "c:note.txt",
        "note\x00.txt", "note\n.txt", "note\x7f.txt", "note\u202etxt.txt", "note\u2066.txt", "note\u200b.txt",
        "note\u200f.txt", "note\ufeff.txt", "note\u2028.txt", "note\u00a0.txt", "note\ue000.txt", "e\u0301.txt",
        " note.txt", ".note.txt", "note .txt", "note..txt", "con.txt", "NUL.txt", "com1.txt", "LPT9.old.txt", "aux .txt",
        'a"b.txt', "a<b.txt", "a|b.txt", "a?.txt", "a*.txt", "a" * 117 + ".txt", "報" * 70 + ".txt",
    ],
)  # fmt: skip
def test_hostile_names_are_refused_without_being_repeated(name: str) -> None:
    """Paths, controls, turned directions, reserved words, lengths and foreign endings; the error quotes nothing."""
    with pytest.raises(AttachmentRefused) as caught:
        check_name(name, "text/plain", where="/header/attachments/0/name")

    assert caught.value.where == "/header/attachments/0/name"
    assert len(name) < 5 or name not in str(caught.value)


@pytest.mark.parametrize(
    ("items", "where"),
    [
        ([attachment(media_type="application/x-msdownload")], "/0/media_type"),
        ([attachment(chunks=2)], "/0/chunks"),
        ([attachment(size=0, chunks=0)], "/0/chunks"),
        ([attachment(1), attachment(2, name="NOTE 1.txt")], "/1"),
        ([attachment(1, name="Õun ß.txt"), attachment(2, name="õUN SS.txt")], "/1"),
        ([attachment(1), attachment(2, digest=Digest(f"{1:064x}"))], "/1"),
        ([attachment(1, size=MAX_BYTES, chunks=100), attachment(2)], ""),
        ([attachment(number) for number in range(1, MAX_ATTACHMENTS + 2)], ""),
    ],
    ids=[
        "type",
        "chunks",
        "empty",
        "name twice",
        "name twice in Estonian",
        "file twice",
        "too large together",
        "too many",
    ],
)
def test_what_does_not_add_up_is_refused_at_its_place(items: list[Attachment], where: str) -> None:
    """The author is told which one."""
    with pytest.raises(AttachmentRefused) as caught:
        check_attachments(items)

    assert caught.value.where == f"/header/attachments{where}"


def test_the_most_that_may_travel_passes() -> None:
    """A hundred MiB in one file, or ten files."""
    check_attachments([attachment(size=MAX_BYTES, chunks=100)])
    check_attachments([attachment(number) for number in range(1, MAX_ATTACHMENTS + 1)])


def test_the_schema_lists_the_same_types() -> None:
    """Code and schema cannot drift apart."""
    import json

    listed = json.loads(read_schema_file("parts/attachment.json"))["properties"]["media_type"]["enum"]

    assert listed == sorted(MEDIA_TYPES)
