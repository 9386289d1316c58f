# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Every single-step mutation of every example is refused, and the refusal points at what is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.ids import MessageType, SchemaVersion
from broker.schema_files import load_catalogue
from broker.testing.spoiling import examples, mutations

CATALOGUE: Catalogue = load_catalogue()
BY_TYPE: dict[MessageType, list[Mapping[str, Any]]] = defaultdict(list)
for _data in examples().values():
    BY_TYPE[MessageType(_data["type"])].append(_data)


def _each(kind: MessageType) -> Iterator[tuple[SchemaVersion, str, str, Any]]:
    """Yield each kind of mutation once per place in the schema: list positions and repeated examples are the same place."""
    seen: set[tuple[str, str]] = set()
    for data in BY_TYPE[kind]:
        version = SchemaVersion(data["version"])
        for mutation in mutations(CATALOGUE.schema(kind, version), data["body"]):
            place = "/".join("0" if step.isdigit() else step for step in mutation.pointer.split("/"))
            if (mutation.kind, place) not in seen:
                seen.add((mutation.kind, place))
                yield version, mutation.kind, mutation.pointer, mutation.body


@pytest.mark.parametrize("kind", sorted(BY_TYPE))
def test_what_is_wrong_is_refused_at_its_place(kind: MessageType) -> None:
    """Required members, codes, bounds, forms and three-valued facts: each spoilt place is named by its pointer."""
    missed = []
    tried = 0
    for version, what, pointer, body in _each(kind):
        tried += 1
        if pointer not in {problem.pointer for problem in CATALOGUE.explain(kind, version, body)}:
            missed.append((what, pointer))

    assert missed == []
    assert tried > 5
