# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Trust lists as they were taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.core.ids import Digest

__all__ = ["TrustRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRow:
    """A verified trust list as it was taken; none is ever changed, so that an old message is verified as of its day."""

    version: int
    root_version: int
    digest: Digest  # of raw
    raw: bytes  # its canonical form
    accepted: datetime
    looked: datetime | None = None  # when a look that gave it last began; None: when it was accepted
