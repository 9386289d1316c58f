# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The rules that say when a case is reviewed, and the lists of reasons."""

from __future__ import annotations

import json

import pytest

from broker.core.deadlines import DeadlineKind, Limit, Unit
from broker.core.errors import CatalogueInvalid
from broker.core.retention import EraseReason, KeepReason, parse_rules
from broker.schema_files import RETENTION_RULES, read_schema_file

RULE = {"limit": {"months": 6}, "kind": "AGREED", "source": "an agreement"}


def _raw(**changes: object) -> bytes:
    return json.dumps({"default": RULE, "procedures": {}} | changes).encode()


def test_the_shipped_rules_are_product_defaults_and_say_why():
    """No instrument gives a number, so none of them claims to be law."""
    rules = parse_rules(read_schema_file(RETENTION_RULES))
    for rule in (rules.default, *rules.procedures.values()):
        assert (rule.kind, bool(rule.source)) == (DeadlineKind.PRODUCT_DEFAULT, True)
    names = {json.loads(read_schema_file(f"procedures/{name}.json"))["procedure"] for name in rules.procedures}
    assert names == set(rules.procedures)


def test_a_procedure_has_its_own_rule_or_the_default():
    """By its name."""
    rules = parse_rules(_raw(procedures={"transfer": RULE | {"limit": {"days": 9}}}))
    assert rules.of("transfer").limit == Limit(unit=Unit.DAYS, count=9)
    assert rules.of("notice") == rules.default


@pytest.mark.parametrize(("unit", "most"), [(Unit.DAYS, 1830), (Unit.WEEKS, 265), (Unit.MONTHS, 60)])
def test_a_limit_is_one_unit_or_as_many_as_five_years_have(unit: Unit, most: int):
    """From the shortest to the longest."""
    for count in (1, most):
        rules = parse_rules(_raw(default=RULE | {"limit": {str(unit): count}}))
        assert rules.default.limit == Limit(unit=unit, count=count)
    with pytest.raises(CatalogueInvalid):
        parse_rules(_raw(default=RULE | {"limit": {str(unit): most + 1}}))


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"{", "/"),
        (b"[]", "/"),
        (_raw(more=1), "/"),
        (_raw(procedures=[]), "/procedures"),
        (_raw(default=RULE | {"kind": "LAW"}), "/default/kind"),
        (_raw(default=RULE | {"source": ""}), "/default/source"),
        (_raw(default=RULE | {"limit": {"years": 1}}), "/default/limit"),
        (_raw(default=RULE | {"limit": {"days": 1, "weeks": 1}}), "/default/limit"),
        (_raw(default=RULE | {"limit": {"months": 0}}), "/default/limit/months"),
        (_raw(default=RULE | {"limit": {"months": True}}), "/default/limit/months"),
        (_raw(default=RULE | {"limit": {"months": 61}}), "/default/limit/months"),
        (_raw(procedures={"transfer": {}}), "/procedures/transfer"),
        (_raw(procedures={"Transfer": RULE}), "/procedures/Transfer"),
        (_raw(procedures={"t" * 65: RULE}), f"/procedures/{'t' * 65}"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(raw: bytes, where: str):
    """A date without end, or a misspelt rule, would silently keep everything."""
    with pytest.raises(CatalogueInvalid) as caught:
        parse_rules(raw)
    assert caught.value.where == where


def test_every_reason_has_a_law_and_a_ground_that_other_countries_know():
    """An erasure is passed on under the code list of the message."""
    grounds = json.loads(read_schema_file("codes/erasure-ground.json"))["enum"]
    for reason in EraseReason:
        assert reason.law
        assert reason.ground in grounds
    assert {reason for reason in EraseReason if reason.ordered} == {
        EraseReason.COURT_ORDER, EraseReason.AUTHORITY_ORDER,
    }  # fmt: skip
    assert all(reason.law for reason in KeepReason)
    assert EraseReason.EXERCISE not in EraseReason.of_people()
