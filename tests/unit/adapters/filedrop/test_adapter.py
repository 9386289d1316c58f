# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The file drop between the node and the folders."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import adapters.filedrop.adapter as filedrop_adapter
from adapters.filedrop.adapter import FileDrop, create
from adapters.filedrop.manifest import MANIFEST
from broker.adapter_api import AdapterEvent, AdapterFailed, BrokerError, InboundAttachment, SettingsInvalid
from broker.core.errors import DiskFull, NotCanonical, SchemaInvalid, StoreUnavailable
from broker.core.ids import Digest
from broker.testing.adapter_node import CANARY, SimulatedNode, sample_message, sample_submission

POLL = 2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty drop folder."""
    (tmp_path / "drop").mkdir()
    return tmp_path / "drop"


@pytest.fixture
def adapter(root: Path) -> FileDrop:
    """Its adapter."""
    return create({"folder": str(root), "poll_seconds": POLL})


@pytest.fixture
def node() -> SimulatedNode:
    """The node that the adapter runs in."""
    return SimulatedNode()


def put_out(root: Path, name: str, content: Any) -> None:
    """Let the national system put a file out."""
    (root / "out").mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (root / "out" / name).write_text(text)


def unplug(root: Path) -> None:
    """Take the disk away."""
    root.rename(root.with_name("unplugged"))


def names(root: Path, place: str) -> set[str]:
    """Return the names in one of the places."""
    return {path.name for path in (root / place).iterdir()}


def read(root: Path, *path: str) -> Any:
    """Return the JSON of one file."""
    return json.loads(root.joinpath(*path).read_bytes())


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({}, "folder"),
        ({"folder": "relative"}, "folder"),
        ({"folder": "/drop", "poll_seconds": 0}, "poll_seconds"),
        ({"folder": "/drop", "max_file_bytes": 5}, "max_file_bytes"),
        ({"folder": "/drop", "group_access": "yes"}, "group_access"),
        ({"folder": "/drop", "delete": True}, "delete"),
    ],
)
def test_wrong_option_is_named(options: dict[str, Any], where: str) -> None:
    """An operator learns which option is wrong before anything runs."""
    with pytest.raises(SettingsInvalid) as raised:
        create(options)
    assert raised.value.where == f"adapters.filedrop.{where}"


async def test_file_is_taken_when_it_was_the_same_at_two_looks(
    root: Path, adapter: FileDrop, node: SimulatedNode
) -> None:
    """A file still being written is not read; once it rests, it goes."""
    put_out(root, "a.json", "{")
    async with node.running(adapter) as task:
        await node.looks(task, 0)
        put_out(root, "a.json", '{"half"')
        await node.looks(task, 1, seconds=POLL)
        put_out(root, "a.json", sample_submission())
        await node.looks(task, 1, seconds=POLL)
        assert node.offered == []

        await node.looks(task, 1, seconds=POLL)

    assert list(node.submissions.values()) == [sample_submission()]
    assert names(root, "out") == set()
    assert names(root, "sent") == {"a.json", "a.json.accepted.json"}


async def test_accepted_note_names_message_procedure_and_digest(
    root: Path, adapter: FileDrop, node: SimulatedNode
) -> None:
    """The national system learns by which names the message is known from now on."""
    put_out(root, "a.json", sample_submission())

    async with node.running(adapter) as task:
        await node.looks(task, 2, seconds=POLL)

    (accepted,) = node.accepted.values()
    assert read(root, "sent", "a.json.accepted.json") == {
        "message": accepted.message, "procedure": accepted.procedure, "digest": accepted.digest,
    }  # fmt: skip
    assert read(root, "sent", "a.json") == sample_submission()


@pytest.mark.parametrize(
    ("content", "error", "code"),
    [
        (sample_submission(), SchemaInvalid("It is missing.", where="/body/child"), "schema-invalid"),
        (sample_submission(), NotCanonical(), "not-canonical"),
        ("no JSON", None, "bad-request"),
        ("[]", None, "bad-request"),
        ('{"' + "x" * 1_048_576 + '": 1}', None, "too-large-to-send"),
    ],
)
async def test_refused_file_goes_to_rejected_with_its_problem(
    root: Path, adapter: FileDrop, node: SimulatedNode, content: Any, error: BrokerError | None, code: str
) -> None:
    """Whoever refuses, node or adapter, the file is moved and its author told; it is not offered again."""
    put_out(root, "a.json", content)
    node.error = error

    async with node.running(adapter) as task:
        await node.looks(task, 5, seconds=POLL)

    assert names(root, "out") == set()
    assert names(root, "rejected") == {"a.json", "a.json.problem.json"}
    note = read(root, "rejected", "a.json.problem.json")
    assert note["code"] == code
    assert note.keys() >= {"code", "detail", "who_must_act"}
    assert node.accepted == {}
    assert [(event, fields["code"]) for event, fields in node.lines] == [(AdapterEvent.REFUSED, code)]


async def test_undecided_file_waits_longer_each_time(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """It stays in out/ and is offered again after 4, 8, 16 seconds … a minute at most."""
    put_out(root, "a.json", sample_submission())
    node.error = StoreUnavailable()

    async with node.running(adapter) as task:
        await node.looks(task, 500, seconds=POLL)

    delays = [fields["delay_seconds"] for _, fields in node.lines]
    assert delays[:5] == [4, 8, 16, 32, 60]
    assert set(delays[5:]) == {60}
    assert names(root, "out") == {"a.json"}
    assert names(root, "rejected") == names(root, "sent") == set()


async def test_undecided_file_does_not_hold_up_others(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """A file whose turn has not come yet is passed by; one that was replaced starts afresh."""
    put_out(root, "a.json", sample_submission())
    node.error = DiskFull()
    async with node.running(adapter) as task:
        await node.looks(task, 7, seconds=POLL)
        assert [fields["delay_seconds"] for _, fields in node.lines] == [4, 8, 16]
        node.error = None
        put_out(root, "b.json", sample_submission(language="fi"))
        await node.looks(task, 2, seconds=POLL)
        assert [submission["language"] for submission in node.submissions.values()] == ["fi"]

        put_out(root, "a.json", sample_submission(language="sv"))
        await node.looks(task, 2, seconds=POLL)

    assert [submission["language"] for submission in node.submissions.values()] == ["fi", "sv"]


async def test_same_file_put_out_again_is_not_sent_again(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """The same name with the same content is the same piece of work; both files end in sent/ with the same answer."""
    async with node.running(adapter) as task:
        for _ in range(2):
            put_out(root, "a.json", sample_submission())
            await node.looks(task, 3, seconds=POLL)

    assert len(node.accepted) == 1
    assert names(root, "sent") == {"a.json", "a.json.accepted.json", "a~2.json", "a~2.json.accepted.json"}
    assert read(root, "sent", "a.json.accepted.json") == read(root, "sent", "a~2.json.accepted.json")


async def test_lost_folder_ends_the_outgoing_side(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """When the disk goes away, `run` raises AdapterFailed, so that a person is told; delivering fails alike."""

    async def run_until_lost() -> None:
        async with node.running(adapter) as task:
            await node.looks(task, 1, seconds=POLL)
            unplug(root)
            await node.looks(task, 1, seconds=POLL)
            assert task.done()

    with pytest.raises(AdapterFailed):
        await run_until_lost()
    with pytest.raises(AdapterFailed):
        await adapter.deliver(sample_message())


async def test_names_are_never_logged(root: Path, adapter: FileDrop, node: SimulatedNode) -> None:
    """File names may hold a child's name: lines carry digests that no name can be tried out of."""
    put_out(root, f"{CANARY}.json", sample_submission())
    put_out(root, f"{CANARY}.txt", sample_submission())
    (root / "out" / f"{CANARY}.pipe").symlink_to(root / CANARY)

    async with node.running(adapter) as task:
        await node.looks(task, 3, seconds=POLL)

    assert sorted(event for event, _ in node.lines) == ["adapter.refused", "adapter.refused", "adapter.submitted"]
    assert "Maarika" not in repr(node.lines)
    assert all(len(str(fields["digest"])) == 64 for _, fields in node.lines)


async def test_attachment_that_ends_early_leaves_nothing(root: Path, adapter: FileDrop) -> None:
    """However often it is tried: on a full disk what each attempt left would take the room of the next."""

    async def cut() -> AsyncIterator[bytes]:
        yield b"half"
        raise StoreUnavailable

    attachment = InboundAttachment(
        name="a.pdf", kind="REPORT", media_type="application/pdf", size=8, digest=Digest("0" * 64), read=cut
    )
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await adapter.deliver(replace(sample_message(), attachments=(attachment,)))

    assert names(root, "in") == set()


def test_manual_lists_every_option() -> None:
    """The table in the README is the manifest's."""
    manual = Path(filedrop_adapter.__file__).with_name("README.md").read_text("utf-8")
    rows = [
        f"| `{name}` | {'asked for' if option.default is None else f'`{option.default}`'} | {option.unit or '–'} | {option.meaning} |"
        for name, option in MANIFEST.options.items()
    ]

    assert "\n".join(rows) in manual


async def test_manifest_says_who_deletes_what(adapter: FileDrop) -> None:
    """Data protection officers read who empties the folders, and what an erasure reaches."""
    assert "national system empties" in adapter.manifest.retention
    assert "what the node erases" in adapter.manifest.retention
    await adapter.close()
