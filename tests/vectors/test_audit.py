# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a node signs of its audit trail is read alike by a reader written from the specification."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core import canonical
from broker.core.audit import GENESIS, AuditReason, AuditRow, Entry, chained
from broker.core.checkpoints import Checkpoint, contradicts
from broker.core.errors import BadRequest
from broker.core.ids import CountryCode, ProcedureId
from broker.core.trust import KeyUse, MemberKey
from broker.home import generate_keys
from broker.rows import AuditFilter
from broker.security import jwk
from broker.security.checkpoints import sign_checkpoint
from broker.security.suite import KeyPairSigner
from broker.trail_file import Part, TrailWriter, check_file

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
EE = CountryCode("EE")
SEEDS = {key.use: key for key in generate_keys()}
SIGNER = KeyPairSigner(SEEDS[KeyUse.ED25519].seed, SEEDS[KeyUse.ML_DSA_65].seed)
KEYS = tuple(
    MemberKey(
        kid=jwk.thumbprint(use, SEEDS[use].public), use=use, public=SEEDS[use].public, not_before=NOW - timedelta(days=1),
        sign_until=NOW + timedelta(days=90), accept_until=NOW + timedelta(days=160),
    )
    for use in (KeyUse.ED25519, KeyUse.ML_DSA_65)
)  # fmt: skip
PROCEDURES = [ProcedureId(f"019aa9c1-7c00-7abc-8def-01234567890{number}") for number in (1, 2)]
ROWS = [
    AuditRow(at=NOW + timedelta(minutes=number), actor="node", action="received", subject=str(number), procedure=which)
    for number, which in enumerate([*PROCEDURES, None, *PROCEDURES, None], 1)
]
TRAIL = chained(GENESIS, [Entry(id=number, row=row) for number, row in enumerate(ROWS, 1)])


@pytest.fixture(scope="module")
def reader() -> Iterator[Any]:
    """The second reader, which builds on that of envelopes beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        import audit_reader

        yield audit_reader


def _signed(place: int, at: datetime = NOW) -> Any:
    checkpoint = Checkpoint(country=EE, head=TRAIL[place - 1].head, at=at, trust_version=1)
    return sign_checkpoint(checkpoint, SIGNER)


def _file(wanted: AuditFilter, *, begin: int = 0) -> bytes:
    part = Part(
        country=EE, made=NOW, reason=AuditReason.LAWFULNESS, wanted=wanted, start=_signed(begin) if begin else None,
        end=_signed(6), trust_version=1, keys=KEYS,
    )  # fmt: skip
    writer = TrailWriter(part)
    return writer.begin() + writer.add(TRAIL[begin:]) + writer.end(SIGNER)


@pytest.mark.parametrize(
    ("wanted", "begin", "shown"),
    [
        pytest.param(AuditFilter(), 0, 6, id="the whole trail"),
        pytest.param(AuditFilter(), 2, 4, id="from a signed place on"),
        pytest.param(AuditFilter(since=ROWS[1].at, until=ROWS[3].at), 0, 2, id="a time, its end not included"),
        pytest.param(AuditFilter(procedures=(PROCEDURES[0],)), 0, 2, id="one procedure"),
    ],
)
def test_the_second_reader_checks_an_export(reader: Any, wanted: AuditFilter, begin: int, shown: int) -> None:
    """It follows the chain to the signed head, and finds the file signed."""
    raw = _file(wanted, begin=begin)
    found = reader.export(raw)

    assert (found["entries"], found["shown"]) == (6 - begin, shown)
    assert (found["end"]["position"], found["end"]["head"]) == (6, TRAIL[5].chain)
    assert found["about"]["filter"].keys() == {"since", "until", "procedures"}


def test_an_entry_has_the_members_that_the_text_names(reader: Any) -> None:
    """Null is what does not apply, but for detail and reason, which are empty texts then."""
    raw = _file(AuditFilter())
    entry = canonical.parse(raw.split(b"\n")[3])["entry"]

    assert entry == {
        "action": "received", "actor": "node", "at": "2026-11-22T03:03:00.000Z", "authority": None, "detail": "",
        "id": 3, "peer": None, "procedure": None, "reason": "", "role": "node", "subject": "3",
    }  # fmt: skip
    assert reader.export(raw)["entries"] == 6


def test_both_readers_agree_on_any_change(reader: Any) -> None:
    """Whatever byte is changed, line left out, doubled or moved: neither takes the file for whole."""
    raw, taken = _file(AuditFilter(procedures=(PROCEDURES[0],))), 0
    for seed in range(60):
        changed = _changed(random.Random(seed), raw)
        try:
            ours = check_file(changed.splitlines(keepends=True), None).intact
        except BadRequest:
            ours = False
        try:
            theirs = bool(reader.export(changed))
        except (reader.Refused, ValueError, KeyError, TypeError, AttributeError):
            theirs = False
        assert ours == theirs, seed
        taken += ours

    assert taken == 0


def _changed(dice: random.Random, raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    at = dice.randrange(len(lines))
    what = dice.randrange(4)
    if what == 0:
        lines.pop(at)
    elif what == 1:
        lines.insert(at, lines[at])
    elif what == 2:
        lines[at - 1], lines[at] = lines[at], lines[at - 1]
    else:
        line = bytearray(lines[at])
        place = dice.randrange(len(line) - 1)
        line[place] ^= 1 << dice.randrange(7)
        lines[at] = bytes(line)
    return b"".join(lines)


def test_both_readers_agree_when_checkpoints_contradict_each_other(reader: Any) -> None:
    """Another head at one place, or less of a trail at a later time; the same moment is no contradiction."""
    later = NOW + timedelta(minutes=1)
    rewritten = Checkpoint(country=EE, head=replace(TRAIL[0].head, position=3), at=later, trust_version=1)
    kept = [
        _signed(3),
        _signed(3, later),
        _signed(5),
        _signed(5, later),
        _signed(2, later),
        sign_checkpoint(rewritten, SIGNER),
    ]
    keys = canonical.parse(_file(AuditFilter()).split(b"\n")[0])["keys"]
    stated = [reader.checkpoint(canonical.parse(one.raw), "EE", keys) for one in kept]
    verdicts = [
        (contradicts(kept[one], kept[other]), reader.contradict(stated[one], stated[other]))
        for one in range(len(kept))
        for other in range(len(kept))
    ]

    assert all(ours == theirs for ours, theirs in verdicts)
    assert 0 < sum(ours for ours, _ in verdicts) < len(verdicts)


def test_the_second_reader_shares_nothing_with_the_product() -> None:
    """It imports the standard library and the second reader of envelopes."""
    nodes = list(ast.walk(ast.parse((HERE / "audit_reader.py").read_text(encoding="utf-8"))))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}

    assert modules == {"__future__", "typing", "reader"}
