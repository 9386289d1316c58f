# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Files go with a submission: each is brought once, on from where it was, and nothing is lost."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.filedrop.adapter import FileDrop, create
from broker.adapter_api import AdapterEvent, ErasedMessage
from broker.core.errors import SafeguardHeld, StoreUnavailable
from broker.core.ids import CountryCode
from broker.testing.adapter_node import CANARY, SimulatedNode, sample_submission

POLL = 2
SCAN = {"file": "scan.pdf", "name": "Report.pdf", "kind": "REPORT"}
LONG = bytes(range(256)) * 12  # three of the simulated node's chunks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty drop folder."""
    (tmp_path / "drop" / "out").mkdir(parents=True)
    return tmp_path / "drop"


@pytest.fixture
def adapter(root: Path) -> FileDrop:
    """Its adapter."""
    return _adapter(root)


@pytest.fixture
def node() -> SimulatedNode:
    """The node that the adapter runs in."""
    return SimulatedNode()


def _adapter(root: Path) -> FileDrop:
    return create({"folder": str(root), "poll_seconds": POLL})


def _put_out(root: Path, *attachments: Any, files: dict[str, bytes], name: str = "a") -> None:
    folder = root / "out" / f"{name}.files"
    folder.mkdir(exist_ok=True)
    for file, raw in files.items():
        (folder / file).write_bytes(raw)
    made = sample_submission(attachments=list(attachments))
    (root / "out" / f"{name}.json").write_text(json.dumps(made))


def _tree(root: Path) -> set[str]:
    """Return every file of the drop, but the lock."""
    found = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    return found - {"out/.uploads.lock"}


async def _look(adapter: FileDrop, node: SimulatedNode, count: int = 3) -> None:
    async with node.running(adapter) as task:
        await node.looks(task, count, seconds=POLL)


async def test_the_files_of_a_submission_are_uploaded_and_named(
    root: Path, adapter: FileDrop, node: SimulatedNode
) -> None:
    """The node gets the submission with uploads; file, folder and note end in sent/ together."""
    _put_out(root, SCAN, {"file": "photo.jpg", "kind": "OTHER"}, files={"scan.pdf": LONG, "photo.jpg": b"x"})

    await _look(adapter, node)

    (submission,) = node.submissions.values()
    first, second = submission["attachments"]
    assert first == {"name": "Report.pdf", "kind": "REPORT", "upload": first["upload"]}
    assert second == {"name": "photo.jpg", "kind": "OTHER", "upload": second["upload"]}
    assert [node.uploads.sizes[one["upload"]] for one in (first, second)] == [len(LONG), 1]
    assert _tree(root) == {
        "sent/a.json",
        "sent/a.json.accepted.json",
        "sent/a.files/scan.pdf",
        "sent/a.files/photo.jpg",
    }
    assert (root / "sent" / "a.files" / "scan.pdf").read_bytes() == LONG


async def test_an_upload_that_broke_off_goes_on_where_it_was(
    root: Path, adapter: FileDrop, node: SimulatedNode
) -> None:
    """Nothing is begun twice: after a cut the same upload gets the rest, also by another start of the adapter."""
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    node.uploads.cut_after = 2048
    await _look(adapter, node, 2)
    assert [event for event, _ in node.lines] == [AdapterEvent.DELAYED]
    assert {name: len(raw) for name, raw in node.uploads.files.items()} == {f"{1:032x}": 2048}

    await _look(_adapter(root), node, 4)

    assert node.uploads.taken == [f"{1:032x}"]
    assert node.uploads.kept[f"{1:032x}"] == LONG
    assert "sent/a.json" in _tree(root)


async def test_a_crash_after_the_answer_names_the_same_uploads_again(
    root: Path, adapter: FileDrop, node: SimulatedNode
) -> None:
    """The message took the files; the next start hears the same answer and sends nothing twice."""
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    node.crash_after_accepting = True
    with suppress(asyncio.CancelledError):
        await _look(adapter, node, 2)
    assert "out/a.json" in _tree(root)

    await _look(_adapter(root), node)

    assert len(node.accepted) == 1
    assert len(node.uploads.taken) == 1
    assert _tree(root) == {"sent/a.json", "sent/a.json.accepted.json", "sent/a.files/scan.pdf"}


@pytest.mark.parametrize(
    ("item", "files", "code", "where"),
    [
        (SCAN, {}, "bad-request", "/attachments/0/file"),
        ({**SCAN, "file": "../a.json"}, {"scan.pdf": LONG}, "bad-request", "/attachments/0/file"),
        ({**SCAN, "file": ".."}, {"scan.pdf": LONG}, "bad-request", "/attachments/0/file"),
        ({**SCAN, "file": 7}, {"scan.pdf": LONG}, "bad-request", "/attachments/0/file"),
        (SCAN, {"scan.pdf": b""}, "attachment-refused", "/attachments/0/file"),
        (SCAN, {"scan.pdf": b"MZ program"}, "attachment-refused", "/attachments/0/file"),
        (SCAN, {"scan.pdf": b"x" * 102_401}, "attachment-refused", "/attachments/0/file"),
    ],
)
async def test_what_may_not_travel_is_rejected_with_its_files(
    root: Path, adapter: FileDrop, node: SimulatedNode, item: Any, files: dict[str, bytes], code: str, where: str
) -> None:
    """The problem names the place of the file; submission and folder lie in rejected/, and nothing was sent."""
    _put_out(root, item, files=files)

    await _look(adapter, node)

    note = json.loads((root / "rejected" / "a.json.problem.json").read_bytes())
    assert (note["code"], note["where"]) == (code, where)
    assert _tree(root) == {
        "rejected/a.json",
        "rejected/a.json.problem.json",
        *(f"rejected/a.files/{one}" for one in files),
    }
    assert node.offered == []


async def test_links_and_pipes_are_not_followed(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """Neither the folder nor a file of it may lead elsewhere; a pipe does not block the drop."""
    (root / "secret").mkdir()
    (root / "secret" / "scan.pdf").write_bytes(LONG)
    _put_out(root, SCAN, files={}, name="linked")
    (root / "out" / "linked.files" / "scan.pdf").symlink_to(root / "secret" / "scan.pdf")
    _put_out(root, SCAN, files={}, name="pipe")
    os.mkfifo(root / "out" / "pipe.files" / "scan.pdf")
    (root / "out" / "folder.files").symlink_to(root / "secret")
    (root / "out" / "folder.json").write_text(json.dumps(sample_submission(attachments=[SCAN])))

    await _look(adapter, node)

    assert {path.name for path in (root / "rejected").glob("*.problem.json")} == {
        f"{name}.json.problem.json" for name in ("linked", "pipe", "folder")
    }
    assert node.offered == []
    assert (root / "secret" / "scan.pdf").read_bytes() == LONG


async def test_a_refusal_by_the_node_takes_the_files_along(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """Held or refused, the folder follows its submission, beside what lies there under that name already."""
    node.error = SafeguardHeld()
    for _ in range(2):
        _put_out(root, SCAN, files={"scan.pdf": LONG})
        await _look(adapter, node)
    assert _tree(root) == {
        f"rejected/a{number}{rest}"
        for number in ("", "~2")
        for rest in (".json", ".json.problem.json", ".files/scan.pdf")
    }


async def test_files_wait_with_their_submission(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """While the node cannot decide, everything stays in out/, and nothing is uploaded twice."""
    node.error = StoreUnavailable()
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    await _look(adapter, node, 12)
    assert {"out/a.json", "out/a.files/scan.pdf"} <= _tree(root)
    assert len(node.uploads.sizes) == 1


async def test_uploads_that_the_node_dropped_are_made_anew(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """After a day without an answer the node forgets files that no message took: they are brought once more."""
    node.error = StoreUnavailable()
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    await _look(adapter, node, 2)
    node.uploads.files.clear()
    node.error = None

    await _look(adapter, node, 12)

    assert node.uploads.taken == [f"{2:032x}"]
    assert "sent/a.files/scan.pdf" in _tree(root)


async def test_a_file_that_changed_is_brought_anew(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """What was uploaded of the older one is no part of the message."""
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    node.uploads.cut_after = 1024
    await _look(adapter, node, 2)
    (root / "out" / "a.files" / "scan.pdf").write_bytes(b"another")
    await _look(adapter, node, 6)
    assert node.uploads.taken == [f"{2:032x}"]
    assert node.uploads.sizes[f"{2:032x}"] == len(b"another")


async def test_a_folder_follows_its_submission_after_a_crash(
    root: Path, adapter: FileDrop, node: SimulatedNode
) -> None:
    """The note says where to: the submission was moved, its folder was not yet."""
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    await _look(adapter, node)
    (root / "sent" / "a.files").rename(root / "out" / "a.files")
    (root / "out" / ".a.json.uploads").write_text(json.dumps({"key": "x", "uploads": {}, "moving": "sent/a.files"}))
    await _look(_adapter(root), node, 1)
    assert _tree(root) == {"sent/a.json", "sent/a.json.accepted.json", "sent/a.files/scan.pdf"}


@pytest.mark.parametrize("moving", ["in/a.files", "sent/../in/a.files", "elsewhere", "/etc/x", ""])
async def test_a_note_of_somebody_else_moves_nothing_elsewhere(
    root: Path, adapter: FileDrop, node: SimulatedNode, moving: str
) -> None:
    """Folders go to sent/ and rejected/ alone; a strange note is dropped, the folder stays."""
    (root / "out" / "a.files").mkdir()
    (root / "out" / "a.files" / "scan.pdf").write_bytes(LONG)
    (root / "out" / ".a.json.uploads").write_text(json.dumps({"key": "x", "uploads": {}, "moving": moving}))
    await _look(adapter, node)
    assert _tree(root) == {"out/a.files/scan.pdf"}


async def test_an_impossible_note_of_somebody_else_stops_no_submission(
    root: Path, adapter: FileDrop, node: SimulatedNode
) -> None:
    """A number that JSON allows and no file has makes it a note that says nothing."""
    note = '{"key": "x", "uploads": {"scan.pdf": [1e999, 1, 1, "x", true]}, "moving": ""}'
    (root / "out" / ".gone.json.uploads").write_text(note)
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    (root / "out" / ".a.json.uploads").write_text(note)
    await _look(adapter, node)
    assert _tree(root) == {"sent/a.json", "sent/a.json.accepted.json", "sent/a.files/scan.pdf"}


async def test_two_workers_bring_a_submission_once(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """While another one uploads from this drop, the submission waits its turn."""
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    with (root / "out" / ".uploads.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        await _look(adapter, node, 2)
        assert node.uploads.sizes == {}
    await _look(adapter, node, 4)
    assert len(node.accepted) == 1


async def test_an_erased_message_takes_its_files_along(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """Nothing of a sent message stays in sent/; what belongs to another does."""
    _put_out(root, SCAN, files={"scan.pdf": LONG})
    _put_out(root, SCAN, files={"scan.pdf": b"y"}, name="b")
    await _look(adapter, node)
    first = json.loads((root / "sent" / "a.json.accepted.json").read_bytes())["message"]
    await adapter.erased(ErasedMessage(received=False, country=CountryCode("EE"), id=first))
    assert _tree(root) == {"sent/b.json", "sent/b.json.accepted.json", "sent/b.files/scan.pdf"}


async def test_no_file_name_is_logged(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """A file may be called as a child is: neither log nor problem repeats it."""
    _put_out(root, {**SCAN, "file": f"{CANARY}.pdf"}, files={f"{CANARY}.pdf": b"MZ"}, name=CANARY)
    await _look(adapter, node)
    assert "Maarika" not in repr(node.lines)
    assert b"Maarika" not in (root / "rejected" / f"{CANARY}.json.problem.json").read_bytes()


async def test_a_submission_with_too_many_files_is_refused_before_any_is_read(
    root: Path, adapter: FileDrop, node: SimulatedNode
) -> None:
    """A message has ten attachments at most."""
    files = {f"{number}.pdf": b"x" for number in range(11)}
    _put_out(root, *({**SCAN, "file": name} for name in files), files=files)
    await _look(adapter, node)
    assert node.uploads.sizes == {}
    assert "rejected/a.json" in _tree(root)
