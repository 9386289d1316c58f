# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Every hostile trust repository breaks the rule that its table names, and leaves in force what the table says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import TrustRule
from broker.trust.client import Fetched
from tests.vectors import trust_bad_documents, trust_bad_lists, trust_good
from tests.vectors.trust_forge import FI, Forge, copied, published

CASES = trust_bad_lists.CASES | trust_bad_documents.CASES | trust_good.CASES
TABLES = Path(__file__).parent / "trust"
VECTORS = [case for table in sorted(TABLES.glob("*.json")) for case in json.loads(table.read_text("utf-8"))]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    """One federation, published and read once."""
    return published(tmp_path_factory.mktemp("base") / "trust")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_what_is_broken_is_named_and_the_rest_stays(vector: dict[str, Any], base: Forge, tmp_path: Path) -> None:
    """A broken rule of the federation refuses the list; a member's leaves its previous document, and nobody else's."""
    forge = copied(base, tmp_path / "trust")
    CASES[vector["name"]](forge)
    assert forge.held is not None  # where the case itself looked, the node has seen what was taken back after it
    before = forge.held
    if vector["in_force"] == "previous list":
        with pytest.raises(TrustListInvalid) as caught:
            forge.look()
        assert caught.value.rule == TrustRule(vector["rule"])
        assert forge.held == before
        return
    after = forge.look()
    broken = [CountryCode(country) for country in vector.get("members", [])]
    unread = vector.get("documents", [])
    assert [(trouble.country or trouble.document, trouble.rule) for trouble in after.troubles] == [
        (name, vector["rule"]) for name in (*unread, *broken)
    ]
    assert not unread or _federations(after) == _federations(before)
    assert ("newer-form" in vector["name"]) is (after.trust.members[FI].keys[0].revoked_at is not None)
    for country, texts in after.document.members.items():
        if country in broken:
            assert texts == before.document.members[country]
    if not broken:
        assert after.document.standing >= before.document.standing


def _federations(fetched: Fetched) -> tuple[object, ...]:
    """Return what the federation's own documents say."""
    return fetched.document.federation, fetched.document.arrangements, fetched.document.catalogue, fetched.catalogue


def test_tables_and_generator_name_the_same_cases() -> None:
    """No case without its repository, no repository without its case, no name twice."""
    names = [vector["name"] for vector in VECTORS]
    assert sorted(names) == sorted(CASES)
    assert len(names) >= 40
