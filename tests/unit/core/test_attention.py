# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The closed list of what a person is called for."""

from __future__ import annotations

from broker.core.attention import AttentionCode
from broker.core.delivery import LadderStep
from broker.core.errors import Actor


def test_every_attention_code_says_who_must_act() -> None:
    """Each code is stable text with an actor and a sentence."""
    for code in AttentionCode:
        assert code == code.value == str(code)
        assert isinstance(code.who, Actor)
        assert code.meaning.endswith(".")
    assert len(set(AttentionCode.ended_by_receipt())) == 2 * len(LadderStep) + 1
    assert AttentionCode("gap") is AttentionCode.GAP


def test_the_closed_list_holds_each_text_once() -> None:
    """No two attention codes share a text."""
    assert len({str(code) for code in AttentionCode}) == len(AttentionCode.__members__)
