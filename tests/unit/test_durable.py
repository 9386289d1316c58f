# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from broker.core.errors import DiskFull, HomeInvalid
from broker.durable import is_full, not_written, sync_folder, write_durably


def test_written_file_is_whole_and_the_owners_alone(tmp_path: Path) -> None:
    """Content and mode are as asked for whatever the umask, and nothing else is left."""
    before = os.umask(0o077)
    try:
        write_durably(tmp_path / "file", b"content")
        write_durably(tmp_path / "shared", b"content", mode=0o640)
    finally:
        os.umask(before)

    assert (tmp_path / "file").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "shared"]


def test_file_and_folder_are_synced_around_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes reach the disk before the name does, and the name before the call returns."""
    steps: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append(f"{'folder' if folder else 'file'}, named: {(tmp_path / 'file').exists()}")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_durably(tmp_path / "file", b"content")

    assert steps == ["file, named: False", "folder, named: True"]


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full, the file is as it was and no temporary one remains."""
    write_durably(tmp_path / "file", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as raised:
        write_durably(tmp_path / "file", b"new")

    assert is_full(raised.value)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_only_a_full_disk_is_full() -> None:
    """A quota counts as full, a missing folder does not."""
    assert is_full(OSError(errno.EDQUOT, ""))
    assert not is_full(OSError(errno.ENOENT, ""))


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, DiskFull), (errno.EACCES, HomeInvalid)])
def test_an_operator_is_told_where_and_never_in_the_systems_words(number: int, told: type[Exception]) -> None:
    """A full disk is told apart; of any other fault only its kind is named, for its text may hold more."""
    found = not_written(OSError(number, "the system's words"), Path("/home/ee"), "The vault cannot be written")

    assert type(found) is told
    assert found.where == "/home/ee"
    assert "words" not in found.detail


def test_missing_folder_cannot_be_synced(tmp_path: Path) -> None:
    """The caller hears about it."""
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")
