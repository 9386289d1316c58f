# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The two sides of a procedure."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Role"]


class Role(StrEnum):
    """The two sides of a procedure."""

    REQUESTING = "REQUESTING"  # wrote the first message
    REQUESTED = "REQUESTED"
