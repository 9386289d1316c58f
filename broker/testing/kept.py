# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a simulated node tells the world outside is kept, for a test to look at: calls to people, and counts."""

from __future__ import annotations

from broker.rows import Attention

__all__ = ["KeptTally", "SilentNotifier"]


class SilentNotifier:
    """Keeps what would have been told."""

    def __init__(self) -> None:
        self.told: list[Attention] = []

    async def notify(self, attention: Attention) -> None:
        """Remember it."""
        self.told.append(attention)


class KeptTally:
    """Implements `ports.Tally`: keeps what was counted, in order."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, ...]] = []

    def published(self, peer: str) -> None:
        """Keep it."""
        self.counted.append(("published", peer))

    def publish_failed(self, peer: str, code: str) -> None:
        """Keep it."""
        self.counted.append(("publish-failed", peer, code))

    def received(self, peer: str, message_type: str) -> None:
        """Keep it."""
        self.counted.append(("received", peer, message_type))

    def receipts(self, *, direction: str, peer: str, kind: str, number: int) -> None:
        """Keep each."""
        self.counted += [("receipt", direction, peer, kind)] * number

    def delivered(self, peer: str, seconds: float) -> None:
        """Keep it."""
        self.counted.append(("delivered", peer, f"{seconds:.3f}"))
