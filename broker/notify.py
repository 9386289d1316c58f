# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Telling people that something waits: code, kind of subject and office, never what it is about (promise P5)."""

from __future__ import annotations

from broker.logs import Event, Log
from broker.ports import Attention

__all__ = ["LogNotifier"]


class LogNotifier:
    """Writes one line to the node's log, where the operator's monitoring picks it up."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def notify(self, attention: Attention) -> None:
        """Log code, country, office and who must act; the subject and its sentence stay in the attention list."""
        fields = {
            "code": attention.code,
            "peer": attention.peer,
            "authority": attention.authority,
            "who": attention.who,
        }
        self._log.warning(
            Event.ATTENTION_RAISED, **{name: value for name, value in fields.items() if value is not None}
        )
