# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealed bytes in files: whole or not at all, for the owner alone, and never the disk's last."""

import errno
import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from broker.core.errors import DiskFull, StoreCorrupt, StoreUnavailable
from broker.storage.blobs import DiskBlobs

BLOB, OTHER = "0" * 31 + "a", "f" * 32


@pytest.fixture
def blobs(tmp_path: Path) -> DiskBlobs:
    """A folder that is not there yet."""
    return DiskBlobs(tmp_path / "attachments")


async def test_a_chunk_comes_back_and_is_replaced(blobs: DiskBlobs, tmp_path: Path) -> None:
    """The newest bytes, readable by the owner only, and nothing unfinished beside them."""
    await blobs.put(BLOB, 0, b"one")
    await blobs.put(BLOB, 0, b"two")
    await blobs.put(BLOB, 1, b"three")

    assert (await blobs.get(BLOB, 0), await blobs.get(BLOB, 1)) == (b"two", b"three")
    files = [path for path in (tmp_path / "attachments").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["0", "1"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_what_is_dropped_is_gone(blobs: DiskBlobs) -> None:
    """Twice is harmless; the others stay."""
    await blobs.put(BLOB, 0, b"x")
    await blobs.put(OTHER, 0, b"y")
    await blobs.drop(BLOB)
    await blobs.drop(BLOB)

    with pytest.raises(StoreCorrupt):
        await blobs.get(BLOB, 0)
    assert await blobs.get(OTHER, 0) == b"y"


async def test_old_blobs_are_listed_in_pages(blobs: DiskBlobs, tmp_path: Path) -> None:
    """In the order of their names, behind a name; one that was written to since is none."""
    assert await blobs.left_since(1e12, after="", limit=5) == ()
    names = [f"{number:032x}" for number in (3, 1, 2)]
    for name in names:
        await blobs.put(name, 0, b"x")
    os.utime(tmp_path / "attachments" / "00" / names[0], (1000, 1000))

    assert await blobs.left_since(1e12, after="", limit=2) == (names[1], names[2])
    assert await blobs.left_since(1e12, after=names[2], limit=2) == (names[0],)
    assert await blobs.left_since(2000, after="", limit=5) == (names[0],)


async def test_the_disks_last_is_left_to_the_database(blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk is refused while there is still room for messages."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))

    with pytest.raises(DiskFull):
        await blobs.put(BLOB, 0, b"x")


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, StoreUnavailable)]
)
async def test_a_failing_disk_is_our_own_error_and_leaves_nothing(
    blobs: DiskBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    """Its text, which holds a path, stays inside; the chunk that was there is as it was."""
    await blobs.put(BLOB, 0, b"before")

    def fail(_: int) -> None:
        raise OSError(number, "broken", str(tmp_path))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error) as caught:
        await blobs.put(BLOB, 0, b"after")

    monkeypatch.undo()
    assert str(tmp_path) not in str(caught.value)
    assert await blobs.get(BLOB, 0) == b"before"
    assert not _unfinished(tmp_path)


@pytest.mark.parametrize("name", ["", "..", "a" * 31, "A" * 32, "../../etc/passwd", "g" * 32])
async def test_no_name_leads_out_of_the_folder(blobs: DiskBlobs, name: str) -> None:
    """A blob's name is made by this program."""
    with pytest.raises(RuntimeError):
        await blobs.put(name, 0, b"x")


def _unfinished(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))
