# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated Estonia, Finland and Sweden for every scenario."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.testing.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Yield the simulated countries and release their stores."""
    async with World.create(tmp_path) as made:
        yield made
