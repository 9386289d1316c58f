# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The evidence ladder: the steps of a message in the order in which each needs the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

__all__ = ["LADDER", "in_order"]

LADDER = ("recorded", "published", "delivered", "refused", "handed-over", "opened")

Step = TypeVar("Step")


def in_order(
    steps: Iterable[Step],
    *,
    message: Callable[[Step], str],
    state: Callable[[Step], str],
    at: Callable[[Step], Any],
) -> tuple[Step, ...]:
    """Return the steps of several messages oldest first, none before a step of its message that it needs.

    Times alone do not say that: each country signs by its own clock, and the transport's confirmation is noted after
    the message may have arrived already. A step that seems to be earlier than one below it is told right after that.
    """
    climbed = sorted(steps, key=lambda step: LADDER.index(state(step)))
    reached: dict[str, Any] = {}
    moments = []
    for step in climbed:
        reached[message(step)] = moment = max(at(step), reached.get(message(step), at(step)))
        moments.append((moment, step))
    return tuple(step for _, step in sorted(moments, key=lambda pair: pair[0]))
