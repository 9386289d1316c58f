# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about reading files that somebody else put there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.plain_files import files_below, leads_out, open_plain, read_plain


def test_an_ordinary_file_is_read_up_to_one_byte_too_many(tmp_path: Path) -> None:
    """The caller sees that a file is too large, and no more of it is held."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert [read_plain(file, most) for most in (3, 4, 5, 9)] == [b"1234", b"12345", b"12345", b"12345"]


def test_a_link_to_an_ordinary_file_is_one(tmp_path: Path) -> None:
    """Where links may not lead is for whoever knows the folder to say."""
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    assert read_plain(tmp_path / "link", 1) == b"1"


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "missing"])
def test_nothing_else_is_opened_and_nobody_waits(tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to, a device without an end, a folder: an error at once."""
    place = tmp_path / "place"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "device":
        place.symlink_to("/dev/zero")
    with pytest.raises(OSError), open_plain(place):  # noqa: PT011  any of its kinds: all callers take them alike
        pass


@pytest.mark.parametrize(
    ("target", "out"),
    [("file", False), ("later", False), ("../outside", True), ("../folder/file", False), ("link", True)],
)
def test_a_link_leads_out_of_its_folder_or_in_a_circle(tmp_path: Path, target: str, out: bool) -> None:
    """What lies in the folder, or may come to lie there, does not; the folder itself may be reached by a link."""
    folder, also = tmp_path / "folder", tmp_path / "also"
    folder.mkdir()
    also.symlink_to(folder)
    (folder / "file").write_bytes(b"1")
    (folder / "link").symlink_to(target)
    assert leads_out(folder / "link", folder) is out
    assert leads_out(also / "link", also) is out
    assert not leads_out(also / "below" / "later", also)


def test_what_lies_below_a_folder_is_found_at_every_depth(tmp_path: Path) -> None:
    """Sorted, links and pipes too, for the caller to judge; no linked folder is entered; no folder has nothing in it."""
    for name in ("b/c/2", "b/1", "a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "elsewhere").symlink_to("/etc")
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = [file.relative_to(tmp_path).as_posix() for file in files_below(tmp_path)]
    assert found == ["a", "b/1", "b/c/2", "link", "pipe"]
    assert files_below(tmp_path / "none") == []


@pytest.mark.parametrize("name", [".", "b", "b/c"])
def test_a_folder_that_cannot_be_read_is_not_an_empty_one(
    tmp_path: Path, unreadable: Callable[[Path], None], name: str
) -> None:
    """Whoever copies or counts files would go on without those that nobody saw."""
    (tmp_path / "b" / "c").mkdir(parents=True)
    unreadable(tmp_path / name)
    with pytest.raises(PermissionError):
        files_below(tmp_path)
