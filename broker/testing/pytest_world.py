# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""pytest plugin: a simulated Estonia, Finland and Sweden for each test that asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from broker.testing.world import World

__all__ = ["world"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Yield the simulated countries and release their stores."""
    from broker.testing.world import World  # loads the whole product; most runs of single files do not need it

    async with World.create(tmp_path) as made:
        yield made
