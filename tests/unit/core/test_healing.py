# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Question and answer after a restore, and which old heads a restore explains."""

from __future__ import annotations

import pytest

from broker.core.audit import Head
from broker.core.checkpoints import KeptCheckpoint, contradicts
from broker.core.errors import SchemaInvalid
from broker.core.healing import Answer, HeldItem, Place, Question, RestoredMark, Returned, lost_by_restore
from broker.core.ids import CountryCode
from broker.testing.store_rows import EE, FI, NOW, digest, later, message_id, procedure_id, receipt

PLACE = Place(message=message_id(9), author=EE)
ITEM = HeldItem(
    author=EE, message=message_id(1), digest=digest(1), procedure=procedure_id(1), opener=FI, act="request",
    receipts=(receipt(1),),
)  # fmt: skip
STUB = HeldItem(
    author=FI, message=message_id(2), digest=digest(2), procedure=procedure_id(1), opener=FI, act="result",
    code="expired", parents=(digest(1),),
)  # fmt: skip


def test_a_question_is_read_as_it_was_written() -> None:
    """For the list, for its next page, and for messages."""
    first = Question(since=NOW, restored=later(5), position=3, head=digest("h"))
    wanted = tuple(sorted((digest(1), digest(2))))
    for question in (
        first,
        Question(since=NOW, restored=later(5), position=0, head=digest("h"), after=PLACE, wanted=wanted),
    ):
        assert Question.of(question.body()) == question
    assert set(first.body()) == {"since", "restored", "position", "head"}


def test_an_answer_is_read_as_it_was_written() -> None:
    """A list, what comes again, and a message that is given back; receipts are the sender's."""
    for answer in (
        Answer(question=message_id(7), items=(ITEM, STUB), next=PLACE),
        Answer(question=message_id(7), sent=(digest(1),), lacking=(digest(2),)),
        Answer(
            question=message_id(7),
            returned=Returned(digest=digest(1), signed={"payload": "x", "signatures": []}, receipts=(receipt(1),)),
        ),
    ):
        assert Answer.of(answer.body(), FI) == answer


@pytest.mark.parametrize("change", [{"question": "x"}, {"items": [{"author": "EE"}]}, {"next": {}}, {"sent": ["x"]}])
def test_what_has_not_its_form_is_refused(change: dict[str, object]) -> None:
    """Whatever is wrong with it is one code."""
    with pytest.raises(SchemaInvalid):
        Answer.of({"question": message_id(7), **change}, FI)
    with pytest.raises(SchemaInvalid):
        Question.of({"since": "yesterday"})


def head(position: int, seconds: float, name: str = "") -> KeptCheckpoint:
    """Return a head that was signed at a time."""
    return KeptCheckpoint(
        head=Head(position=position, chain=digest(f"{position}{name}")), at=later(seconds), cut=False, raw=b""
    )


@pytest.mark.parametrize(
    ("held", "new", "explained"),
    [
        (head(9, 10), head(6, 30), True),  # what came after the backup is gone
        (head(9, 10), head(9, 30, "other"), True),
        (head(4, 10), head(4, 30, "other"), False),  # up to the place that it named nothing may differ
        (head(9, 25), head(6, 30), False),  # both after it
        (head(9, 10), head(6, 15), False),  # both before it
        (head(9, 10), head(4, 30), False),  # the trail ends before the place that it named
    ],
)
def test_a_restore_explains_what_it_says_and_no_more(
    held: KeptCheckpoint, new: KeptCheckpoint, *, explained: bool
) -> None:
    """It was restored at 20 seconds, behind place 5."""
    mark = RestoredMark(country=CountryCode("FI"), at=later(20), position=5, head=digest("5"))
    assert contradicts(held, new)
    assert lost_by_restore(held, new, [mark]) is explained
    assert not lost_by_restore(held, new, [])
