# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A database of this program's tables, and a store over it whose keys a test can look at."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.ports import Store
from broker.storage import AtRest, open_store
from broker.testing.at_rest import UnsafeEpochs
from broker.testing.store_rows import EE


@pytest.fixture
def url(tmp_path: Path, empty_database: Path) -> str:
    """A database with this program's tables."""
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'store.db')}"


@pytest.fixture
def epochs() -> UnsafeEpochs:
    """The vault of every worker of a test."""
    return UnsafeEpochs()


@pytest.fixture
async def store(url: str, epochs: UnsafeEpochs) -> AsyncIterator[Store]:
    """A store over these keys."""
    store = open_store(url, us=EE, cipher=AtRest(epochs.ring))
    yield store
    await store.close()
