# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Running CPU-heavy functions where they stand: no thread, so the order of a simulation is exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["InlineCompute"]

T = TypeVar("T")


class InlineCompute:
    """Implements the Compute port."""

    async def run(self, fn: Callable[[], T]) -> T:
        """Run the function now."""
        return fn()
