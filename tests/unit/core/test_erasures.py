# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is listed for an erasure, and what speaks against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.core.erasures import OWED_DAYS, CaseMessage, Hindrance, Listed, Obstacle, owed
from broker.core.ids import MessageType
from broker.testing.store_rows import BOARD, FI, NOW, digest, message_id, procedure_id

MESSAGE = CaseMessage(
    direction="out", id=message_id(1), digest=digest(1), peer=FI, authority=BOARD, procedure=procedure_id(1),
    type=MessageType("notice.notice"), at=NOW, settled=False,
)  # fmt: skip


def test_another_list_has_another_digest():
    """Whatever came or went, and in whatever order it was read."""
    other = replace(MESSAGE, digest=digest(2))
    both = Listed(procedures=(), messages=(MESSAGE, other), drafts=(), attachments=0, uploads=0)
    assert both.digest == replace(both, messages=(other, MESSAGE)).digest
    assert (
        len({both.digest, replace(both, messages=(other,)).digest, replace(both, drafts=(message_id(3),)).digest}) == 3
    )


def test_what_nobody_answered_is_owed_until_no_envelope_of_it_can_travel():
    """A country that never answers cannot keep a case from being erased for ever."""
    days = timedelta(days=OWED_DAYS)
    assert owed([MESSAGE], NOW + days - timedelta(seconds=1)) == (MESSAGE,)
    assert owed([MESSAGE], NOW + days) == ()
    assert owed([replace(MESSAGE, settled=True)], NOW) == ()


@pytest.mark.parametrize("obstacle", list(Obstacle))
def test_every_obstacle_is_an_error_of_its_own_code(obstacle: Obstacle):
    """It names what stands in the way by identifiers alone."""
    error = Hindrance(obstacle=obstacle, subjects=("a", "b")).error
    assert error.code == obstacle
    assert "a, b" in error.detail


def test_a_duty_names_the_message_and_its_direction():
    """Two countries may use one id, and one id may go both ways."""
    assert MESSAGE.subject == f"out/FI/{message_id(1)}"
