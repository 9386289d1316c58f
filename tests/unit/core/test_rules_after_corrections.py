# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Corrections hold text alone, and no schema is asked about what they leave: the rules judge that too."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.core.corrected import as_corrected
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, MessageType
from broker.core.reasons import Earlier
from broker.core.safeguards import decide
from broker.core.sides import Side, Sides
from broker.testing.valid_messages import valid_message

EE, FI = CountryCode("EE"), CountryCode("FI")
SIDES = Sides(
    here=Side(country=EE, office=AuthorityId("board")),
    there=Side(country=FI, office=AuthorityId("county")),
    opening=False,
    day=date(2026, 11, 22),
)
MOST_FIELDS = 50  # of one correction, by its schema


def _examples() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted((Path(__file__).parents[3] / "schemas" / "examples").glob("*/*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        if "type" in data and path.parent.name == data["type"].split(".")[0]:
            found[path.parent.name].append(data)
    return found


EXAMPLES = _examples()


def _pointers(node: Any, at: str = "") -> Iterator[str]:
    """Yield every place in a body, what it is in before itself."""
    for name, item in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield f"{at}/{name}"
        yield from _pointers(item, f"{at}/{name}")


def _corrections(target: Earlier, *now: Any) -> Iterator[Earlier]:
    """Yield corrections that put each of these, one after the other, in every place of a message."""
    pointers = list(_pointers(target.body))
    fields = [{"pointer": pointer, "now": one} for one in now for pointer in pointers]
    for first in range(0, len(fields), MOST_FIELDS):
        yield Earlier(
            type=MessageType(f"{target.type.procedure}.correction"), digest=Digest(f"{first + 2:064x}"),
            author=target.author, body={"target": target.digest, "fields": fields[first : first + MOST_FIELDS]},
        )  # fmt: skip


@pytest.mark.parametrize(
    "now", [[{"value": "in words"}], [{"unknown": True}, {"value": "in words"}]], ids=["words", "later"]
)
@pytest.mark.parametrize("procedure", sorted(EXAMPLES))
def test_no_correction_by_either_side_makes_a_rule_fail(procedure: str, now: Sequence[Any]) -> None:
    """What was corrected in words, everywhere at once, ends no later message of its procedure as a fault of this node."""
    later = list({one["type"]: one for one in EXAMPLES[procedure]}.values())
    for example in EXAMPLES[procedure]:
        for author in (EE, FI):
            target = Earlier(
                type=MessageType(example["type"]), digest=Digest("0" * 63 + "1"), author=author, body=example["body"]
            )
            told = [one for one in as_corrected([target, *_corrections(target, *now)]) if one.digest == target.digest]
            assert told != [target]
            for one in later:
                basis = one.get("legal_basis", {}).get("code")
                message = valid_message(
                    one["type"], one["body"], basis=basis, case_ref=CaseRef("CR-0123456789ABCDEFGHJK")
                )
                assert decide(message, told, SIDES)


@pytest.mark.parametrize("now", [{"value": "in words"}, {"unknown": True}], ids=["words", "unknown"])
@pytest.mark.parametrize("procedure", sorted(EXAMPLES))
def test_no_correction_of_a_correction_makes_a_rule_fail(procedure: str, now: Any) -> None:
    """Whatever is left of the first one's places and values: what it corrects is read all the same."""
    for example in {one["type"]: one for one in EXAMPLES[procedure]}.values():
        target = Earlier(
            type=MessageType(example["type"]), digest=Digest("0" * 63 + "1"), author=FI, body=example["body"]
        )
        first = list(_corrections(target, {"value": "in words"}))
        again = [
            Earlier(
                type=one.type, digest=Digest(f"{number + (1 << 60):064x}"), author=FI,
                body={"target": one.digest, "fields": [{"pointer": pointer, "now": now} for pointer in _pointers(one.body)]},
            )
            for number, one in enumerate(first)
        ]  # fmt: skip
        message = valid_message(
            example["type"], example["body"], basis=example.get("legal_basis", {}).get("code"),
            case_ref=CaseRef("CR-0123456789ABCDEFGHJK"),
        )  # fmt: skip
        assert decide(message, [target, *first, *again], SIDES)
