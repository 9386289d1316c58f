# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Telling people that something waits: code, kind of subject and office, never what it is about (promise P5)."""

from __future__ import annotations

from broker.logs import Event, Log
from broker.metrics import Metrics
from broker.rows import ARRIVED, Attention

__all__ = ["LogNotifier"]


class LogNotifier:
    """Writes one line to the node's log, where the operator's monitoring picks it up."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    async def notify(self, attention: Attention) -> None:
        """Log code, country, office and who must act; the subject and its sentence stay in the attention list."""
        fields = {
            "code": attention.code,
            "peer": attention.peer,
            "authority": attention.authority,
            "who_must_act": attention.who,
        }
        said = {name: value for name, value in fields.items() if value is not None}
        if attention.code == ARRIVED:
            self._log.info(Event.MESSAGE_HANDED_OVER, message=attention.subject, **said)
            return
        self._metrics.attention_raised(attention.code)
        self._log.warning(Event.ATTENTION_RAISED, **said)
