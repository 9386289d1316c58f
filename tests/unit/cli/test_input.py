# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a person types: parsed, or told what a right one looks like."""

from __future__ import annotations

import re

import pytest

from broker.cli.input import named_case, parsed
from broker.core import ids
from broker.core.errors import BadRequest

KINDS = [getattr(ids, name) for name in ids.__all__]


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_that_is_none_is_told_in_words_with_a_right_one(kind):
    """No kind is named as the program names it, and what was typed is not repeated."""
    with pytest.raises(BadRequest) as caught:
        parsed(kind, "Test-Maarika Näidis", "--option")

    detail = caught.value.detail
    assert detail.startswith("This is not a")
    assert kind.__name__ not in detail
    assert "Maarika" not in detail
    assert caught.value.where == "--option"
    shown = re.search(r"like ([A-Za-z0-9.-]+)", detail)
    assert shown is None or parsed(kind, shown.group(1).rstrip("."), "--option")


def test_a_case_is_named_by_its_reference_or_by_a_procedure():
    """What is neither is told how both look."""
    assert type(named_case("EX-CR-0123456789ABCDEFGHJK")) is ids.CaseRef
    assert type(named_case("01920000-0000-7000-8000-000000000000")) is ids.ProcedureId
    for text in ("CR-1", "EX-", "0192", "Näidis"):
        with pytest.raises(BadRequest, match=r"neither a case reference, like CR-\w+, nor a procedure's id, like 0192"):
            named_case(text)
