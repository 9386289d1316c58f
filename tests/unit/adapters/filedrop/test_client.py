# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The file drop's folders, also when somebody else is at work in them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.filedrop.client import Folders, Offered
from broker.adapter_api import AdapterFailed, BadRequest, TooLargeToSend

CHILD = "Test-Maarika"
LIMIT = 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A drop folder with its four places."""
    (tmp_path / "drop").mkdir()
    Folders(tmp_path / "drop", max_file_bytes=LIMIT, group_access=False).prepare()
    return tmp_path / "drop"


@pytest.fixture
def folders(root: Path) -> Folders:
    """Its client."""
    return Folders(root, max_file_bytes=LIMIT, group_access=False)


def put_out(root: Path, name: str = "a.json", raw: bytes = b"{}") -> Path:
    """Let the national system put a file out."""
    path = root / "out" / name
    path.write_bytes(raw)
    return path


def only(folders: Folders) -> Offered:
    """Return the one thing that is offered."""
    (offered,) = folders.scan()
    return offered


def contents(root: Path, place: str) -> dict[str, bytes]:
    """Return what lies in one of the places."""
    return {path.name: path.read_bytes() for path in (root / place).iterdir() if path.is_file()}


# --- the folders themselves -----------------------------------------------------------------------------------------


def test_four_folders_are_made_for_the_owner_alone(root: Path, folders: Folders) -> None:
    """Missing places are made; making them again changes nothing."""
    put_out(root)

    folders.prepare()

    assert sorted(path.name for path in root.iterdir()) == ["in", "out", "rejected", "sent"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.iterdir()} == {0o700}
    assert contents(root, "out") == {"a.json": b"{}"}


def test_group_access_is_asked_for(tmp_path: Path) -> None:
    """With it the folder's group reads what lands and may put files out; nobody else does."""
    folders = Folders(tmp_path, max_file_bytes=LIMIT, group_access=True)
    folders.prepare()

    folders.put("a.json", b"{}")

    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o2770
    assert stat.S_IMODE((tmp_path / "in" / "a.json").stat().st_mode) == 0o640


def test_missing_drop_folder_is_not_made(tmp_path: Path) -> None:
    """Its disk may not be mounted: messages must not land underneath."""
    folders = Folders(tmp_path / "unmounted", max_file_bytes=LIMIT, group_access=False)

    with pytest.raises(AdapterFailed, match="missing"):
        folders.prepare()
    with pytest.raises(AdapterFailed, match="FileNotFoundError"):
        folders.put("a.json", b"{}")
    with pytest.raises(AdapterFailed, match="FileNotFoundError"):
        folders.scan()
    assert list(tmp_path.iterdir()) == []


# --- in -------------------------------------------------------------------------------------------------------------


def test_received_file_is_whole_and_the_owners_alone(root: Path, folders: Folders) -> None:
    """One file, no temporary one, no other reader."""
    folders.put("a.json", b"{}")

    assert contents(root, "in") == {"a.json": b"{}"}
    assert stat.S_IMODE((root / "in" / "a.json").stat().st_mode) == 0o600


def test_received_again_is_left_as_it_lies(root: Path, folders: Folders) -> None:
    """The file is not written again, also where the national system has changed it."""
    folders.put("a.json", b"{}")
    (root / "in" / "a.json").write_bytes(b"{ }")
    before = (root / "in" / "a.json").stat().st_mtime_ns

    folders.put("a.json", b"{}")

    assert contents(root, "in") == {"a.json": b"{ }"}
    assert (root / "in" / "a.json").stat().st_mtime_ns == before


def test_link_in_the_place_of_a_message_is_not_followed(root: Path, folders: Folders) -> None:
    """What is not a file is not taken for a delivered message, and nothing is written through it."""
    target = root / "elsewhere"
    target.write_bytes(b"old")
    (root / "in" / "a.json").symlink_to(target)
    (root / "in" / "b.json").mkdir()

    for name in ("a.json", "b.json"):
        with pytest.raises(AdapterFailed, match="no file"):
            folders.put(name, b"{}")
    assert target.read_bytes() == b"old"


def test_full_disk_is_adapter_failed_and_leaves_nothing(
    root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message stays owed; the reason is said without path or content."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", CHILD)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AdapterFailed, match="no room on the disk") as raised:
        folders.put("a.json", CHILD.encode())

    assert CHILD not in str(raised.value)
    assert list((root / "in").iterdir()) == []


# --- out ------------------------------------------------------------------------------------------------------------


def test_scan_tells_oldest_first_and_leaves_the_unfinished(root: Path, folders: Folders) -> None:
    """Order is that of writing, so that a withdrawal follows its request; hidden and unfinished names are not seen."""
    for age, name in enumerate(["b.json", "a.json", ".c.json", "d.json.tmp", "e.json.part"]):
        os.utime(put_out(root, name), ns=(age, age))

    assert [offered.name for offered in folders.scan()] == ["b.json", "a.json"]


def test_read_gives_what_was_looked_at(root: Path, folders: Folders) -> None:
    """An unchanged file is read whole, up to exactly the limit."""
    put_out(root, raw=b"x" * LIMIT)

    assert folders.read(only(folders)) == b"x" * LIMIT


def test_too_large_file_is_refused_unread(root: Path, folders: Folders) -> None:
    """One byte more than the limit is too large to send."""
    put_out(root, raw=b"x" * (LIMIT + 1))

    with pytest.raises(TooLargeToSend):
        folders.read(only(folders))


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_what_is_no_ordinary_file_is_refused_and_moved(root: Path, folders: Folders, kind: str) -> None:
    """Links are not followed, pipes do not block; the thing itself goes to rejected/ with its note."""
    secret = root / "secret"
    secret.write_bytes(b'{"secret": true}')
    path = root / "out" / "a.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(secret if kind == "link" else root / "nowhere")
    offered = only(folders)

    with pytest.raises(BadRequest, match="no ordinary file"):
        folders.read(offered)
    folders.reject(offered, b"note")

    assert list((root / "out").iterdir()) == []
    assert os.path.lexists(root / "rejected" / "a.json")
    assert (root / "rejected" / "a.json.problem.json").read_bytes() == b"note"
    assert secret.read_bytes() == b'{"secret": true}'


def test_link_put_in_its_place_after_the_look_is_not_followed(root: Path, folders: Folders) -> None:
    """Between look and read a file is swapped for a link: nothing is read."""
    path = put_out(root)
    offered = only(folders)
    path.unlink()
    path.symlink_to(root / "elsewhere")

    assert folders.read(offered) is None


def test_file_changed_or_gone_since_the_look_is_not_read(root: Path, folders: Folders) -> None:
    """A file that still grows, or that was taken back, is for another look."""
    path = put_out(root)
    offered = only(folders)

    path.write_bytes(b"{ }")
    assert folders.read(offered) is None
    path.unlink()
    assert folders.read(offered) is None


def test_unreadable_file_is_refused(root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the node's user may not read is its author's to mend."""
    put_out(root, f"{CHILD}.json")
    offered = only(folders)
    real = os.open

    def denied(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith(offered.name):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(BadRequest, match="may not read") as raised:
        folders.read(offered)
    assert CHILD not in str(raised.value)


# --- sent and rejected ----------------------------------------------------------------------------------------------


def test_accepted_file_is_moved_with_its_note(root: Path, folders: Folders) -> None:
    """The file leaves out/ and lies in sent/, the note beside it."""
    put_out(root)

    folders.accept(only(folders), b"note")

    assert contents(root, "out") == {}
    assert contents(root, "sent") == {"a.json": b"{}", "a.json.accepted.json": b"note"}


def test_name_clash_writes_over_nothing(root: Path, folders: Folders) -> None:
    """A second and third file of the same name get numbers, and each its own note."""
    for number in (b"1", b"2", b"3"):
        put_out(root, raw=number)
        folders.accept(only(folders), b"note " + number)

    assert contents(root, "sent") == {
        "a.json": b"1", "a.json.accepted.json": b"note 1",
        "a~2.json": b"2", "a~2.json.accepted.json": b"note 2",
        "a~3.json": b"3", "a~3.json.accepted.json": b"note 3",
    }  # fmt: skip


def test_crash_between_note_and_move_finds_its_own_note(
    root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second round uses the note that the first one wrote."""
    put_out(root)
    offered = only(folders)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            folders.accept(offered, b"note")
    assert contents(root, "sent") == {"a.json.accepted.json": b"note"}

    folders.accept(only(folders), b"note")

    assert contents(root, "sent") == {"a.json": b"{}", "a.json.accepted.json": b"note"}


def test_file_written_anew_after_submission_stays(root: Path, folders: Folders) -> None:
    """What is in out/ now was never submitted: it is not moved to sent/."""
    path = put_out(root)
    offered = only(folders)
    path.write_bytes(b'{"new": true}')

    folders.accept(offered, b"note")

    assert contents(root, "out") == {"a.json": b'{"new": true}'}
    assert contents(root, "sent") == {}


def test_file_written_anew_in_the_last_moment_is_put_back(
    root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even between the last look and the move nothing unsubmitted ends in sent/."""
    path = put_out(root)
    offered = only(folders)
    real = Path.rename

    def late(self: Path, target: Path) -> Path:
        if self == path and target.parent.name == "sent":
            (root / "making").write_bytes(b'{"new": true}')
            real(root / "making", path)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", late)
    folders.accept(offered, b"note")

    assert contents(root, "out") == {"a.json": b'{"new": true}'}
    assert contents(root, "sent") == {}


def test_second_worker_finds_the_file_moved(root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers settle the same file: it is in sent/ once, with one note, and neither fails."""
    put_out(root)
    offered = only(folders)
    other = Folders(root, max_file_bytes=LIMIT, group_access=False)
    real = Path.rename

    def overtaken(self: Path, target: Path) -> Path:
        if target.parent.name == "sent":
            monkeypatch.setattr(Path, "rename", real)
            other.accept(offered, b"note")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    folders.accept(offered, b"note")
    folders.accept(offered, b"note")

    assert contents(root, "sent") == {"a.json": b"{}", "a.json.accepted.json": b"note"}


def test_file_taken_back_in_the_last_moment_leaves_no_note(
    root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note without its file would say that something was sent which nobody can see."""
    path = put_out(root)
    offered = only(folders)
    real = Path.rename

    def taken(self: Path, target: Path) -> Path:
        if self == path:
            path.unlink()
        return real(self, target)

    monkeypatch.setattr(Path, "rename", taken)
    folders.accept(offered, b"note")

    assert contents(root, "sent") == {}


def test_file_that_cannot_be_moved_stays_and_says_so(root: Path, folders: Folders) -> None:
    """Without sent/ the file stays in out/; the error names no file."""
    put_out(root, f"{CHILD}.json")
    (root / "sent").rmdir()

    with pytest.raises(AdapterFailed, match="cannot be moved") as raised:
        folders.accept(only(folders), b"note")

    assert CHILD not in str(raised.value)
    assert contents(root, "out") == {f"{CHILD}.json": b"{}"}


def test_tag_names_a_file_without_its_name(root: Path, folders: Folders) -> None:
    """Two files have two tags, and no name can be read or tried out of one."""
    put_out(root, f"{CHILD}.json")
    put_out(root, "other.json")
    first, second = folders.scan()

    assert first.tag != second.tag
    assert len(first.tag) == 64
    renamed = Offered(
        name="else", mode=first.mode, inode=first.inode, size=first.size,
        modified_ns=first.modified_ns, changed_ns=first.changed_ns,
    )  # fmt: skip
    assert renamed.tag == first.tag


def test_attempts_at_one_attachment_do_not_mix(root: Path, folders: Folders) -> None:
    """A worker that was paused beyond its lease goes on when another has finished: it fails, and the file stays whole."""
    name = "EE.7.1.pdf"
    paused, other = folders.begin(name), folders.begin(name)
    folders.append(paused, b"first half, ")
    folders.append(other, b"first half, second half")
    folders.finish(other, name)

    with pytest.raises(AdapterFailed, match="cannot be written"):
        folders.append(paused, b"second half")
    with pytest.raises(AdapterFailed, match="cannot be written"):
        folders.finish(paused, name)
    assert contents(root, "in") == {name: b"first half, second half"}


def test_finished_attachment_leaves_nothing_of_earlier_attempts(root: Path, folders: Folders) -> None:
    """What a killed node had written goes; what is being written of another attachment stays."""
    name = "EE.7.1.pdf"
    folders.append(folders.begin(name), b"half")
    (root / "in" / f".{name}.part").write_bytes(b"of an older program")
    another = folders.begin("EE.7.11.pdf")
    part = folders.begin(name)
    folders.append(part, b"whole")
    folders.finish(part, name)

    assert set(contents(root, "in")) == {name, another.name}


def test_erased_message_goes_with_its_attachments_and_unfinished_parts(root: Path, folders: Folders) -> None:
    """Another message's files, also of a longer id from the same country, stay; again it is no failure."""
    for name in ("EE.7.json", "EE.7.1.pdf", ".EE.7.2.pdf.part", "EE.71.json", "FI.7.json"):
        (root / "in" / name).write_bytes(b"{}")
    for _ in range(2):
        folders.forget_received("EE.7.")
    assert set(contents(root, "in")) == {"EE.71.json", "FI.7.json"}


def test_sent_file_of_an_erased_message_goes_with_its_note(root: Path, folders: Folders, tmp_path: Path) -> None:
    """The note alone says which file that is; what is no note of ours, or a link, is neither read nor followed."""
    kept = tmp_path / "elsewhere.json"
    kept.write_bytes(b'{"message": "7"}')
    (root / "sent" / "linked.json.accepted.json").symlink_to(kept)
    for name, note in (("a.json", b'{"message": "7"}'), ("b.json", b'{"message": "8"}'), ("c.json", b"no note")):
        (root / "sent" / name).write_bytes(b"{}")
        (root / "sent" / f"{name}.accepted.json").write_bytes(note)
    folders.forget_sent("7")
    left = {path.name for path in (root / "sent").iterdir()}
    assert left == {"b.json", "b.json.accepted.json", "c.json", "c.json.accepted.json", "linked.json.accepted.json"}
    assert kept.exists()


def test_folder_that_is_away_is_adapter_failed(root: Path, folders: Folders) -> None:
    """A copy may still be there; nobody is named."""
    root.rename(root.with_name(CHILD))
    for forget in (lambda: folders.forget_received("EE.7."), lambda: folders.forget_sent("7")):
        with pytest.raises(AdapterFailed) as raised:
            forget()
        assert CHILD not in str(raised.value)


@pytest.mark.parametrize("place", ["in", "sent"])
def test_folder_that_cannot_be_listed_is_adapter_failed(
    root: Path, folders: Folders, unreadable: Callable[[Path], None], place: str
) -> None:
    """Else the erasure would be told as done, with the child's file still there."""
    unreadable(root / place)
    with pytest.raises(AdapterFailed, match="cannot be deleted"):
        folders.forget_received("EE.7.") if place == "in" else folders.forget_sent("7")
