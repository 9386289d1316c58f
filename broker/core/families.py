# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The three families of errors, by who must act; the tree with its leaves stands in `core.errors`, which all else imports."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

__all__ = ["Actor", "BrokerError", "Fate", "NodeError", "SenderError", "UntrustedError"]


class Fate(StrEnum):
    """What happens to an inbound message that raised the error."""

    REFUSE = "refuse"  # believed and refused: signed refusal
    QUARANTINE = "quarantine"  # unbelievable: kept sealed, acknowledged to the broker, no receipt
    PARK = "park"  # not yet believable: offered again after a trust refresh
    DROP = "drop"  # a chunk that belongs to nothing: counted against its broker user and not kept
    RETRY = "retry"  # our fault: nothing was decided, the transport offers it again


class Actor(StrEnum):
    """Who must act so that the error goes away."""

    CALLER = "caller"  # the person or system that called this API
    SENDER = "sender"  # the sending node's officers
    SECURITY = "security officer"  # of this node
    OPERATOR = "operator"  # of this node
    FEDERATION = "federation"  # trust list officers


class BrokerError(Exception):
    """The broker could not do what was asked."""

    code: ClassVar[str] = "broker-error"
    fate: ClassVar[Fate] = Fate.RETRY
    who: ClassVar[Actor] = Actor.OPERATOR
    http_status: ClassVar[int] = 500

    def __init__(self, detail: str | None = None, *, where: str | None = None) -> None:
        """Args:
        detail: one sentence for people, without any value of a message's content.
        where: JSON pointer, setting or file that is wrong.
        """
        self.detail = detail or (type(self).__doc__ or "").split("\n")[0]
        self.where = where
        super().__init__(self.detail)

    def __str__(self) -> str:
        place = f" (at {self.where})" if self.where else ""
        return f"{self.code}: {self.detail}{place}"


class SenderError(BrokerError):
    """The content is refused; its author must change it."""

    code = "refused"
    fate = Fate.REFUSE
    who = Actor.SENDER
    http_status = 422


class UntrustedError(BrokerError):
    """The message cannot be opened or believed."""

    code = "untrusted"
    fate = Fate.QUARANTINE
    who = Actor.SECURITY
    http_status = 422


class NodeError(BrokerError):
    """This node or its surroundings failed; nothing was refused."""

    code = "node-error"
    fate = Fate.RETRY
    who = Actor.OPERATOR
    http_status = 503
