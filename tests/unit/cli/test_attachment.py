# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm attachment` and `trm submit --attach` at a home's own store."""

import stat

import pytest

DEMO = "schemas/examples/demo/request.json"


@pytest.fixture
def note(tmp_path):
    """A small text."""
    file = tmp_path / "Õie märkus.txt"
    file.write_text("A synthetic text.", "utf-8")
    return file


def test_a_file_is_uploaded_for_a_day(trm, home, office, note):
    """The answer is what a submission needs, and what the file turned out to be."""
    ran = trm("attachment", "add", note, "--home", home, "--authority", office, "--json")

    assert ran.code == 0, ran.err
    assert ran.json["name"] == "Õie märkus.txt"
    assert ran.json["media_type"] == "text/plain"
    assert len(ran.json["upload"]) == 32


def test_what_may_not_travel_is_refused(trm, home, office, tmp_path):
    """A program, an empty file, a missing one."""
    program, empty = tmp_path / "x.txt", tmp_path / "empty.txt"
    program.write_bytes(b"MZ\x90\x00")
    empty.write_bytes(b"")

    for file, code in (
        (program, "attachment-refused"),
        (empty, "attachment-refused"),
        (tmp_path / "no", "bad-request"),
    ):
        ran = trm("attachment", "add", file, "--home", home, "--authority", office, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (1, code)


def test_a_command_that_is_repeated_sends_its_files_once(trm, home, office, note, request_file):
    """The same file with the same attachments is one submission, though each upload is another; other bytes are another."""
    asked = ("submit", request_file, "--attach", f"{note}=REPORT", "--home", home, "--authority", office, "--json")
    assert trm(*asked).code == 0
    again = trm(*asked)
    listed = ("inbox", "--direction", "out", "--home", home, "--authority", office, "--json")

    assert (again.code, again.json["error"]["code"], again.json["error"]["where"]) == (
        1, "idempotency-conflict", "--idempotency-key",
    )  # fmt: skip
    assert "accepted before with its files" in again.json["error"]["detail"]
    assert len(trm(*listed).json["items"]) == 1
    note.write_text("another text")
    assert trm(*asked).code == 0
    assert len(trm(*listed).json["items"]) == 2


@pytest.fixture
def sent(trm, home, office, note, request_file):
    """A message with the file, as it is shown, and the beginning of the command that saves the file."""
    at = ("--home", home, "--authority", office)
    sent = trm("submit", request_file, "--attach", f"{note}=REPORT", *at, "--json")
    assert sent.code == 0, sent.err
    shown = trm("show", sent.json["message"], "--direction", "out", *at, "--json")
    (described,) = shown.json["content"]["header"]["attachments"]
    return described, ("attachment", "save", sent.json["message"], described["digest"], *at, "--to")


def test_a_message_takes_its_file_and_it_can_be_saved_once(trm, sent, note, tmp_path):
    """Attached under its own name; saved bytes are the same, for the owner's eyes; no key is shown; no file is written over."""
    described, save = sent
    target = tmp_path / "saved.txt"

    assert (described["name"], described["kind"]) == ("Õie märkus.txt", "REPORT")
    assert "key" not in described
    assert trm(*save, target).code == 0
    assert target.read_bytes() == note.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    error = trm(*save, target, "--json").json["error"]
    assert (error["code"], error["where"]) == ("bad-request", str(target))
    assert "name a new file" in error["detail"]
    assert target.read_bytes() == note.read_bytes()
    assert trm(*save, tmp_path / "no" / "folder", "--json").json["error"]["code"] == "bad-request"


def test_no_half_of_a_file_is_left(trm, sent, home, tmp_path):
    """Where a part is damaged on the disk nobody takes what came before it for the whole, and the next attempt may write."""
    _, save = sent
    (chunk,) = [file for file in (home / "attachments").rglob("*") if file.is_file()]
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    ran = trm(*save, tmp_path / "saved.txt", "--json")
    assert ran.json["error"]["code"] == "store-corrupt"
    assert not (tmp_path / "saved.txt").exists()
    chunk.write_bytes(whole)
    assert trm(*save, tmp_path / "saved.txt").code == 0
