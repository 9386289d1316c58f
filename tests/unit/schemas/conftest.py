# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of the checkout, its examples, and the ways to spoil a valid body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.catalogue import Catalogue
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
