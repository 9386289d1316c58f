# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An exported file is checked on any machine, and no byte of it can be changed unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core import canonical
from broker.core.audit import GENESIS, AuditReason, AuditRow, Entry, Linked, chained
from broker.core.checkpoints import Checkpoint
from broker.core.errors import BadRequest
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse, Member, MemberKey
from broker.home import generate_keys
from broker.rows import AuditFilter
from broker.security import jwk
from broker.security.checkpoints import sign_checkpoint
from broker.security.suite import KeyPairSigner
from broker.trail_file import Part, TrailWriter, check_file

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
EE = CountryCode("EE")
SEEDS = {key.use: key for key in generate_keys()}
SIGNER = KeyPairSigner(SEEDS[KeyUse.ED25519].seed, SEEDS[KeyUse.ML_DSA_65].seed)
KEYS = tuple(
    MemberKey(
        kid=jwk.thumbprint(use, SEEDS[use].public),
        use=use,
        public=SEEDS[use].public,
        not_before=NOW - timedelta(days=1),
        sign_until=NOW + timedelta(days=90),
        accept_until=NOW + timedelta(days=160),
    )
    for use in (KeyUse.ED25519, KeyUse.ML_DSA_65)
)
MEMBER = Member(country=EE, keys=KEYS)
TRAIL = chained(
    GENESIS,
    [
        Entry(id=number, row=AuditRow(at=NOW, actor="node", action="received", subject=str(number)))
        for number in range(1, 7)
    ],
)


class _Hiding(TrailWriter):
    """Shows no entry, whatever the file's first line says."""

    def _entry(self, linked: Linked) -> bytes:
        return canonical.dump({"digest": linked.digest, "position": linked.position}) + b"\n"


def lines(kind: type[TrailWriter] = TrailWriter, *, since: datetime | None = None) -> list[bytes]:
    """Return a file of the entries 3 to 6."""
    start, end = (
        sign_checkpoint(Checkpoint(country=EE, head=TRAIL[place].head, at=NOW, trust_version=1), SIGNER)
        for place in (1, 5)
    )
    part = Part(
        country=EE, made=NOW, reason=AuditReason.LAWFULNESS, wanted=AuditFilter(since=since), start=start, end=end,
        trust_version=1, keys=KEYS,
    )  # fmt: skip
    writer = kind(part)
    whole = writer.begin() + writer.add(TRAIL[2:]) + writer.end(SIGNER)
    return whole.splitlines(keepends=True)


def test_an_untouched_file_is_in_order() -> None:
    """With a trust list at hand, and with the keys that it brings itself."""
    for listed in (MEMBER, None):
        verdict = check_file(lines(), listed)
        assert (verdict.intact, verdict.entries, verdict.end.position) == (True, 4, 6)
        assert verdict.kids == tuple(key.kid for key in KEYS)
        assert verdict.listed is (listed is not None)


@pytest.mark.parametrize(("since", "found"), [(NOW + timedelta(days=1), []), (None, [3, 4, 5, 6])])
def test_a_file_that_says_it_shows_everything_leaves_nothing_out(since: datetime | None, found: list[int]) -> None:
    """It is signed by the right keys all the same: whoever gives it out may be whom the missing entry is about."""
    verdict = check_file(lines(_Hiding, since=since), MEMBER)

    assert (verdict.entries, verdict.shown) == (4, 0)
    assert [(finding.kind, finding.first) for finding in verdict.findings] == [("withheld", place) for place in found]


def _drop(number: int) -> Callable[[list[bytes]], None]:
    return lambda given: given.pop(number) and None  # type: ignore[func-returns-value]


def _change(number: int, change: Callable[[Any], object]) -> Callable[[list[bytes]], None]:
    def work(given: list[bytes]) -> None:
        value = json.loads(given[number])
        change(value)
        given[number] = canonical.dump(value) + b"\n"

    return work


CHANGED = {
    "an entry is another": _change(2, lambda value: value["entry"].update(actor="nobody")),
    "an entry is gone": _drop(2),
    "the last entry is gone": _drop(4),
    "the first entry is gone": _drop(1),
    "an entry comes twice": lambda given: given.insert(2, given[2]),
    "two entries change places": lambda given: given.insert(2, given.pop(3)),
    "the reason is another": _change(0, lambda value: value.update(reason="self-monitoring")),
    "the filter is another": _change(0, lambda value: value["filter"].update(since="2026-01-01T00:00:00.000Z")),
    "the country is another": _change(0, lambda value: value.update(country="FI")),
    "it begins elsewhere": _change(0, lambda value: value.update(start=None)),
    "an entry is hidden": _change(3, lambda value: value.pop("entry") and value.update(digest=TRAIL[4].digest)),
    "a digest is another": _change(3, lambda value: value.pop("entry") and value.update(digest="0" * 64)),
}


@pytest.mark.parametrize("case", CHANGED)
def test_no_line_can_be_changed(case: str) -> None:
    """Whatever is done to a line, the chain, the signed heads or the signature over the file tell."""
    given = lines()
    CHANGED[case](given)
    try:
        verdict = check_file(given, MEMBER)
    except BadRequest:
        return
    assert not verdict.intact
    assert "not-signed" in {found.kind for found in verdict.findings}


def test_another_countrys_keys_do_not_sign_it() -> None:
    """With the trust list at hand it does not matter which keys the file brings."""
    others = {key.use: key for key in generate_keys()}
    strangers = tuple(
        MemberKey(
            kid=jwk.thumbprint(use, others[use].public), use=use, public=others[use].public,
            not_before=NOW - timedelta(days=1), sign_until=NOW + timedelta(days=9), accept_until=NOW + timedelta(days=99),
        )
        for use in (KeyUse.ED25519, KeyUse.ML_DSA_65)
    )  # fmt: skip
    with pytest.raises(BadRequest):
        check_file(lines(), Member(country=EE, keys=strangers))


@pytest.mark.parametrize(
    "given", [[], [b"{}\n"], [b"x"], lines()[:1], lines()[:-1], [b'{"format":"trm-audit-export/1"}\n']]
)
def test_what_is_no_whole_file_is_refused(given: list[bytes]) -> None:
    """One error says so, and holds nothing of the file."""
    with pytest.raises(BadRequest, match="no whole export"):
        check_file(given, None)
