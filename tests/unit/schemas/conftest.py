# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of the checkout, its examples, and the ways to spoil a valid body."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.ids import MessageType, SchemaVersion
from broker.core.procedures import Role, start, step
from broker.schema_files import load_catalogue
from broker.testing import spoiling

SCHEMAS = Path(__file__).parents[3] / "schemas"


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The catalogue of this checkout."""
    return load_catalogue(SCHEMAS)


@pytest.fixture(scope="session")
def examples() -> Mapping[str, dict[str, Any]]:
    """Every example by its path below ``schemas/examples``."""
    return spoiling.examples()


@pytest.fixture(scope="session")
def spoil() -> Callable[[Mapping[str, Any], Any], Iterator[spoiling.Mutation]]:
    """The function that spoils a valid body in every single-step way."""
    return spoiling.mutations


@pytest.fixture(scope="session")
def spoilt(catalogue: Catalogue, examples: Mapping[str, dict[str, Any]]) -> Callable[..., list[str]]:
    """The function that returns the places that are wrong in an example after one change; the example itself is right."""

    def places(path: str, change: Callable[[dict[str, Any]], Any]) -> list[str]:
        kind, body = MessageType(examples[path]["type"]), copy.deepcopy(examples[path]["body"])
        assert catalogue.explain(kind, SchemaVersion("1.0"), body) == ()
        change(body)
        return [problem.pointer for problem in catalogue.explain(kind, SchemaVersion("1.0"), body)]

    return places


@pytest.fixture(scope="session")
def ends(catalogue: Catalogue) -> Callable[..., str | None]:
    """The function that walks a procedure and returns where it ends, without an alarm; None: the last act is not allowed there."""

    def walked(procedure: str, steps: Iterable[tuple[str, Role]]) -> str | None:
        table = catalogue.table(procedure)
        state = start(table)
        for act, role in steps:
            assert state is not None, act
            state = step(table, state, act, role)
        assert state is None or not state.alarmed
        return state.name if state else None

    return walked
