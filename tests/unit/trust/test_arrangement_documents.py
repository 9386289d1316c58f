# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the document of the arrangement register."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.core.arrangements import Arrangement, ArrangementRegister, ArrangementStatus, Cover, judge
from broker.core.errors import TrustListInvalid
from broker.core.ids import ArrangementId, CountryCode
from broker.trust.arrangement_documents import MAX_BYTES, read_arrangements, write_arrangements

DEMO = Path(__file__).parents[3] / "keys" / "demo" / "arrangements.json"
EE, FI, SE = map(CountryCode, ("EE", "FI", "SE"))
REGISTER = ArrangementRegister(
    arrangements=(
        Arrangement(
            id=ArrangementId("a"),
            title="A",
            agreement="Made up",
            source="tests",
            members=frozenset({EE, FI}),
            procedures=frozenset({"placement", "family-tracing"}),
            first_day=date(2026, 1, 1),
            last_day=date(2026, 12, 31),
            status=ArrangementStatus.SUSPENDED,
            conditions=("one", "two"),
        ),
        Arrangement(
            id=ArrangementId("b"),
            title="B",
            agreement="Made up",
            source="tests",
            members=frozenset({EE, SE}),
            procedures=frozenset({"placement"}),
            first_day=date(2026, 1, 1),
        ),
    )
)


def test_the_register_reads_back() -> None:
    """With and without end, conditions and suspension; the order in memory does not matter; an empty one is one too."""
    turned = ArrangementRegister(arrangements=REGISTER.arrangements[::-1])
    assert read_arrangements(write_arrangements(turned)) == REGISTER
    assert read_arrangements(write_arrangements(ArrangementRegister())) == ArrangementRegister()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "A"),
        ("title", ""),
        ("agreement", None),
        ("source", "two\nlines"),
        ("members", ["EE"]),
        ("members", ["FI", "EE"]),
        ("members", ["EE", "EE"]),
        ("members", ["EE", "EL"]),
        ("procedures", []),
        ("procedures", ["Placement"]),
        ("procedures", ["placement", "family-tracing"]),
        ("first_day", "1.1.2026"),
        ("last_day", "2025-12-31"),
        ("last_day", None),
        ("status", "ENDED"),
        ("conditions", []),
        ("note", "x"),
    ],
)
def test_an_arrangement_of_another_form_is_refused(name: str, value: Any) -> None:
    """The error points at the member that is wrong."""
    data = json.loads(write_arrangements(REGISTER))
    data["arrangements"][0][name] = value
    with pytest.raises(TrustListInvalid) as raised:
        read_arrangements(json.dumps(data).encode(), where="r")
    assert (raised.value.where or "").startswith(f"r: /arrangements/0/{name}")


def test_ids_stand_in_order_and_once() -> None:
    """Two spellings of one register would be two documents to sign."""
    data = json.loads(write_arrangements(REGISTER))
    for items in (data["arrangements"][::-1], data["arrangements"][:1] * 2):
        with pytest.raises(TrustListInvalid) as raised:
            read_arrangements(json.dumps(data | {"arrangements": items}).encode())
        assert raised.value.where == "arrangements.json: /arrangements"


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"format": "trm-arrangements/1"}', b"\xff", b" " * (MAX_BYTES + 1)])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    """Bytes that are no register, or too many, raise the documented error and nothing else."""
    with pytest.raises(TrustListInvalid):
        read_arrangements(raw)


def test_the_demonstrations_register_says_that_it_is_an_example() -> None:
    """It covers family tracing between its three countries, and nobody can take it for an agreement."""
    raw = DEMO.read_bytes()
    register = read_arrangements(raw)
    assert write_arrangements(register) == raw
    for item in register.arrangements:
        assert item.title.startswith("EXAMPLE")
        assert item.agreement.startswith("EXAMPLE")
    for one, other in ((EE, FI), (EE, SE), (FI, SE)):
        assert judge(register, "family-tracing", one, other, date(2026, 11, 22)).cover is Cover.COVERED
