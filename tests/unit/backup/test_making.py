# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Writing backups: two places, read back, the old keys gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker.backup import making
from broker.backup.making import ATTACHMENTS, back_up
from broker.core.errors import BackupInvalid, HomeInvalid, StoreUnavailable
from broker.core.ids import AuthorityId, CountryCode
from broker.core.owed_chunks import OwedChunks
from broker.rows import AttachmentRow, UploadRow
from broker.storage.blobs import DiskBlobs
from broker.testing import store_rows as rows
from broker.testing.backed_home import BackedHome, fill


@pytest.fixture
def home(tmp_path: Path) -> BackedHome:
    """A home with one message of either direction."""
    made = BackedHome.create(tmp_path)
    fill(made, 1)
    return made


def test_data_are_kept_and_keys_replaced(home: BackedHome) -> None:
    """Each backup of data has a name of its own; of keys there is one, and the old bytes are overwritten."""
    first, keys = home.back_up()
    old = os.open(keys.file, os.O_RDONLY)
    second, again = home.back_up(60)
    left = os.read(old, 10_000_000)
    os.close(old)

    assert first.file.name == "EE-2026-11-22T03-00-00Z.trmdata"
    assert sorted((home.folder / "data").iterdir()) == [first.file, second.file]
    assert (keys.file, list((home.folder / "keys").iterdir())) == (again.file, [again.file])
    assert left == bytes(keys.size)
    assert {file.stat().st_mode & 0o777 for file in (first.file, keys.file)} == {0o600}


def test_data_and_keys_never_lie_together(home: BackedHome) -> None:
    """One folder for both, however it is spelled, is refused before anything is written."""
    to = home.folder / "both"
    with pytest.raises(BackupInvalid, match="two places"):
        back_up(home.settings, home.vault, to=to, keys_to=to / ".." / "both", now=rows.NOW)
    assert not to.exists()


def test_a_place_that_leads_in_a_circle_is_a_sentence(home: BackedHome) -> None:
    """The operator hears which place cannot be written."""
    (home.folder / "circle").symlink_to("circle")
    with pytest.raises(HomeInvalid, match="cannot be written"):
        back_up(home.settings, home.vault, to=home.folder / "circle", keys_to=home.folder / "keys", now=rows.NOW)


def test_a_folder_that_cannot_be_read_is_not_left_out(home: BackedHome, unreadable: Callable[[Path], None]) -> None:
    """A backup without the trust list in it would be found out after the disaster."""
    metadata = home.settings.home / "trust" / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    unreadable(metadata)
    with pytest.raises(HomeInvalid, match="cannot be written"):
        home.back_up()
    assert list((home.folder / "data").iterdir()) == []


def test_a_file_that_does_not_read_back_is_not_there(home: BackedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last backup of keys stays as it was where the new one is not what was written."""
    _, keys = home.back_up()
    kept = keys.file.read_bytes()

    def spoil(*_: object) -> None:
        raise BackupInvalid

    monkeypatch.setattr(making, "read_through", spoil)
    with pytest.raises(BackupInvalid):
        home.back_up(60)
    assert keys.file.read_bytes() == kept
    assert len(list((home.folder / "data").iterdir())) == 1


def test_vault_and_key_table_are_of_one_moment(home: BackedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """While keys are wrapped under an epoch that the copied vault lacks, nothing is written as a success."""
    monkeypatch.setattr(making, "_PAUSE_SECONDS", 0.0)
    home.vault.begin_epoch(rows.NOW)
    home.work(lambda tx: (tx.begin_epoch(2), tx.rewrap_keys(2, limit=100)))
    assert home.back_up()[1].manifest.count("case_key") == 2  # of the case, and of what is quarantined
    vault = home.settings.vault_file.read_bytes()
    home.vault.end_epochs(2, rows.NOW)
    monkeypatch.setattr(
        type(home.vault), "ring", lambda _: home.anew("EE").vault._held.at_rest.__class__({1: b"k" * 32}, None)
    )
    with pytest.raises(StoreUnavailable, match="next epoch"):
        home.back_up(60)
    assert vault != home.settings.vault_file.read_bytes()


def test_files_of_messages_are_in_it_and_what_lacks_is_named(home: BackedHome) -> None:
    """Ours and others', each chunk as it lies there; one that is still to come is not missed, one that is gone is."""
    blobs = DiskBlobs(home.settings.home / ATTACHMENTS)

    def file(author: CountryCode, number: int, owed: set[int]) -> AttachmentRow:
        return AttachmentRow(
            author=author, message=rows.message_id(number), handle=rows.digest(f"h{number}"), peer=rows.FI, place=0,
            blob=f"{number:032x}", size=2_100_000, chunks=3, owed=OwedChunks(owed), at=rows.NOW, moved=rows.NOW,
            next_at=None,
        )  # fmt: skip

    for row in (file(rows.EE, 0, {0, 1, 2}), file(rows.FI, 1, {2}), file(rows.FI, 3, set())):
        home.work(lambda tx, row=row: tx.add_attachment(row))
    chunks = {0: (0, 1, 2), 1: (0, 1), 3: (0, 2)}  # ours, one on its way in, one that lost its middle
    for number, indices in chunks.items():
        for index in indices:
            asyncio.run(blobs.put(f"{number:032x}", index, f"sealed {number} {index}".encode()))
    data, keys = home.back_up()
    done = home.restore(data.file, keys.file)

    assert data.manifest.lacking == done.lacking == (rows.message_id(3),)
    assert data.manifest.stored_files[0] == 1 + 3 + 2 + 2  # and the parked chunk
    anew = DiskBlobs(home.folder / "anew" / ATTACHMENTS)
    for number, indices in chunks.items():
        for index in indices:
            assert asyncio.run(anew.get(f"{number:032x}", index)) == f"sealed {number} {index}".encode()


def test_uploads_are_in_it_for_messages_that_wait_for_a_second_person(home: BackedHome) -> None:
    """Row, key and bytes come back, so that what is held can still be released; one whose bytes lack is named."""
    blobs = DiskBlobs(home.settings.home / ATTACHMENTS)
    for number in (1, 2):
        row = UploadRow(
            id=f"{number:032x}", authority=AuthorityId("social-insurance-board"), size=5, key=b"k" * 32, at=rows.NOW
        )
        home.work(lambda tx, row=row: (tx.add_upload(row), tx.save_upload(replace(row, received=5))))
    asyncio.run(blobs.put(f"{1:032x}", 0, b"sealed"))
    data, keys = home.back_up()
    done = home.restore(data.file, keys.file)

    assert data.manifest.lacking == done.lacking == (f"{2:032x}",)
    found = home.anew().work(lambda tx: tx.upload(f"{1:032x}"))
    assert isinstance(found, UploadRow)
    assert (found.key, found.received) == (b"k" * 32, 5)
    assert asyncio.run(DiskBlobs(home.folder / "anew" / ATTACHMENTS).get(f"{1:032x}", 0)) == b"sealed"


def test_an_upload_that_was_taken_meanwhile_is_not_brought_back(home: BackedHome) -> None:
    """Its key is gone when the keys are read: nobody is shown a row that opens nothing, nor stopped by it."""
    row = UploadRow(id=f"{1:032x}", authority=AuthorityId("social-insurance-board"), size=5, key=b"k" * 32, at=rows.NOW)
    home.work(lambda tx: tx.add_upload(row))
    data, _ = home.back_up()
    home.work(lambda tx: tx.drop_upload(row.id))
    _, keys = home.back_up(60)
    home.restore(data.file, keys.file)

    anew = home.anew()
    assert anew.work(lambda tx: tx.upload(row.id)) is None
    assert anew.work(lambda tx: tx.old_uploads(before=rows.later(9999), limit=9)) == ()
    assert anew.work(lambda tx: tx.count_uploads(row.authority)) == 0


def test_a_received_file_that_lacks_is_verified_anew_after_the_restore(home: BackedHome) -> None:
    """So it is asked for again by the means that there are; whole ones, spoiled ones and our own stay as they are."""
    blobs = DiskBlobs(home.settings.home / ATTACHMENTS)

    def file(author: CountryCode, number: int, code: str | None = None) -> AttachmentRow:
        return AttachmentRow(
            author=author, message=rows.message_id(number), handle=rows.digest(f"h{number}"), peer=rows.FI, place=0,
            blob=f"{number:032x}", size=3, chunks=1, owed=OwedChunks(), at=rows.NOW, moved=rows.NOW, next_at=None,
            complete=None if code else rows.NOW, code=code,
        )  # fmt: skip

    stored = [file(rows.EE, 0), file(rows.FI, 1), file(rows.FI, 3), file(rows.FI, 5, "attachment-spoiled")]
    for row in stored:
        home.work(lambda tx, row=row: (tx.add_attachment(row), tx.save_attachment(row)))
    asyncio.run(blobs.put(f"{3:032x}", 0, b"sealed"))
    data, keys = home.back_up()
    done = home.restore(data.file, keys.file)

    found = [home.anew().work(lambda tx, row=row: tx.attachment(row.author, row.message, row.handle)) for row in stored]
    assert done.lacking == (rows.message_id(0), rows.message_id(1))
    assert found == [stored[0], replace(stored[1], complete=None, next_at=rows.later(1000)), *stored[2:]]
