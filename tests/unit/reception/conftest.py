# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two countries that say to each other whatever they like."""

from __future__ import annotations

import pytest

from broker.testing.hostile import Hostile
from broker.testing.world import World


@pytest.fixture
def asking(world: World) -> Hostile:
    """Estonia, speaking to Finland whatever it likes."""
    return Hostile(world["EE"], world["FI"])


@pytest.fixture
def asked(world: World) -> Hostile:
    """Finland, speaking to Estonia whatever it likes."""
    return Hostile(world["FI"], world["EE"])
