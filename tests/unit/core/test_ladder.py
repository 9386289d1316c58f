# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of messages are told in the order in which they need each other."""

from itertools import permutations

from broker.core.ladder import LADDER, in_order
from broker.core.receipts import ReceiptKind
from broker.rows import OutboxState

Step = tuple[str, str, int]


def _told(*steps: Step) -> tuple[Step, ...]:
    return in_order(steps, message=lambda step: step[0], state=lambda step: step[1], at=lambda step: step[2])


def test_every_step_that_a_timeline_shows_has_its_rung() -> None:
    """The ladder holds what a sender notes and what a recipient signs."""
    assert set(LADDER) == {OutboxState.RECORDED, OutboxState.PUBLISHED, *ReceiptKind}


def test_a_confirmation_that_is_noted_late_stands_before_the_delivery() -> None:
    """The recipient may sign before the sender's node has noted that the transport took the message."""
    steps = (("a", "recorded", 1), ("a", "delivered", 5), ("a", "published", 7), ("a", "opened", 6))
    for given in permutations(steps):
        assert [state for _, state, _ in _told(*given)] == ["recorded", "published", "delivered", "opened"]


def test_messages_stand_by_their_times() -> None:
    """Steps of different messages do not wait for each other."""
    steps = (("a", "recorded", 1), ("b", "recorded", 2), ("a", "delivered", 3), ("b", "delivered", 4))
    for given in permutations(steps):
        assert _told(*given) == steps


def test_a_slow_clock_of_the_other_country_turns_nothing_round() -> None:
    """A receipt whose time lies before the message was recorded is told right after what it is about."""
    told = _told(("a", "recorded", 60), ("a", "published", 61), ("a", "delivered", 10), ("b", "recorded", 70))
    assert told == (("a", "recorded", 60), ("a", "published", 61), ("a", "delivered", 10), ("b", "recorded", 70))
