# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The form of another node's question for chunks that it lacks."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.errors import SchemaInvalid
from broker.core.ids import Digest, MessageId
from broker.core.missing import MAX_MISSING, Missing, from_body, to_body
from broker.core.owed_chunks import OwedChunks

ASKED = Missing(
    message=MessageId("01890000-0000-7000-8000-000000000001"),
    digest=Digest("a" * 64),
    handle=Digest("b" * 64),
    chunks=OwedChunks({0, 1, 7}),
)
(ITEM,) = to_body([ASKED])["missing"]


def test_what_is_asked_for_arrives_as_it_was_asked() -> None:
    """One attachment or as many as one question holds."""
    for number in (1, MAX_MISSING):
        assert from_body(to_body([ASKED] * number)) == (ASKED,) * number


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (None, "/body/missing"),
        ([ITEM], "/body/missing"),
        ({}, "/body/missing"),
        ({"missing": ITEM}, "/body/missing"),
        ({"missing": []}, "/body/missing"),
        ({"missing": [ITEM] * (MAX_MISSING + 1)}, "/body/missing"),
        ({"missing": [ITEM], "note": "x"}, "/body/missing"),
        ({"missing": [ITEM, "x"]}, "/body/missing/1"),
        ({"missing": [{**ITEM, "note": "x"}]}, "/body/missing/0"),
        *(({"missing": [{key: ITEM[key] for key in ITEM if key != name}]}, "/body/missing/0") for name in ITEM),
        *(({"missing": [{**ITEM, name: "x"}]}, "/body/missing/0") for name in ITEM),
        *(({"missing": [{**ITEM, name: 7}]}, "/body/missing/0") for name in ITEM),
        ({"missing": [{**ITEM, "chunks": ""}]}, "/body/missing/0/chunks"),
        ({"missing": [{**ITEM, "chunks": "0,1,7"}]}, "/body/missing/0"),
    ],
)
def test_another_form_is_refused_at_its_place(body: Any, where: str) -> None:
    """PROTOCOL 15.7: too few, too many, a member too much or too little, or a value of another form."""
    with pytest.raises(SchemaInvalid) as refused:
        from_body(body)
    assert refused.value.where == where
