# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as values: what is signed, what contradicts what, and which ones are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core import canonical
from broker.core.audit import Head
from broker.core.checkpoints import Checkpoint, KeptCheckpoint, contradicts, gives_way
from broker.core.errors import NotCanonical, SignatureShape
from broker.core.ids import CountryCode, Digest

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
CHECKPOINT = Checkpoint(
    country=CountryCode("EE"), head=Head(position=17, chain=Digest("a" * 64)), at=NOW, trust_version=4
)


def kept(position: int, minutes: int, digit: str = "a", *, cut: bool = False) -> KeptCheckpoint:
    """Return a checkpoint of that place, some minutes later."""
    head = Head(position=position, chain=Digest(digit * 64))
    return KeptCheckpoint(head=head, at=NOW + timedelta(minutes=minutes), cut=cut, raw=b"")


def test_the_payload_is_canonical_and_reads_back() -> None:
    """What is signed says whose trail, which place, which head, when, and by which list the keys are judged."""
    assert json.loads(CHECKPOINT.payload()) == {
        "at": "2026-11-22T03:10:00.000Z", "country": "EE", "cut": False, "head": "a" * 64, "position": 17, "trust": 4,
        "v": 1,
    }  # fmt: skip
    assert Checkpoint.from_payload(CHECKPOINT.payload()) == CHECKPOINT
    assert Checkpoint.from_payload(replace(CHECKPOINT, cut=True).payload()).cut


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"v": "1"}, {"v": True}, {"position": -1}, {"position": True}, {"position": "17"}, {"cut": 1}, {"country": "EL"},
        {"head": "A" * 64}, {"at": "2026-11-22"}, {"at": 17}, {"trust": None}, {"more": 1},
    ],
)  # fmt: skip
def test_another_shape_is_refused(change: dict[str, Any]) -> None:
    """There is one way to write a checkpoint."""
    payload = canonical.dump(json.loads(CHECKPOINT.payload()) | change)
    with pytest.raises(SignatureShape):
        Checkpoint.from_payload(payload)


def test_bytes_that_are_not_canonical_are_refused() -> None:
    """A second spelling of the same value does not exist."""
    with pytest.raises(NotCanonical):
        Checkpoint.from_payload(CHECKPOINT.payload() + b" ")
    with pytest.raises(SignatureShape):
        Checkpoint.from_payload(b"[]")


@pytest.mark.parametrize(
    ("held", "new", "expected"),
    [
        (kept(5, 0), kept(9, 1), False),
        (kept(9, 1), kept(5, 0), False),  # two envelopes that overtook each other
        (kept(5, 0), kept(5, 0), False),
        (kept(5, 0), kept(5, 3), False),
        (kept(5, 0), kept(9, 0), False),
        (kept(5, 0), kept(5, 0, "b"), True),
        (kept(9, 0), kept(5, 1), True),  # a trail that became shorter
        (kept(5, 1), kept(9, 0), True),
    ],
)
def test_what_cannot_be_true_of_one_trail_contradicts(
    held: KeptCheckpoint, new: KeptCheckpoint, *, expected: bool
) -> None:
    """Another head at one place, or less of the trail at a later time."""
    assert contradicts(held, new) is expected


def test_of_each_hour_the_last_one_is_kept() -> None:
    """A newer head proves everything before it; where a trail was cut is kept for good."""
    assert gives_way(kept(5, 0), kept(9, 49))
    assert not gives_way(kept(5, 0), kept(9, 50))
    assert not gives_way(kept(5, 0), kept(9, 60))
    assert not gives_way(kept(5, 0, cut=True), kept(9, 1))
