# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How the command line shows that surge mode is on: above whatever somebody looks at (R-39)."""

from __future__ import annotations

from collections.abc import Sequence

from broker.cli import output
from broker.core.surge import SurgeMode

__all__ = ["say"]


def say(modes: Sequence[SurgeMode]) -> None:
    """Tell people where it is on, and until when."""
    for mode in modes:
        drill = " (exercise)" if mode.exercise else ""
        between = f"declared by {mode.declared_by} towards {mode.towards}{drill}"
        if mode.until is None:
            output.console().print(f"SURGE MODE may be on, {between}: what says until when does not open here.")
        else:
            output.console().print(f"SURGE MODE until {mode.until}, {between}.")
