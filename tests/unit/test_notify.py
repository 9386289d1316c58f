# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a notification says."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from broker.core.ids import AuthorityId, CountryCode
from broker.logs import Log
from broker.metrics import Metrics
from broker.notify import LogNotifier
from broker.rows import ARRIVED, Attention

CANARY = "Test-Maarika Näidis"
MESSAGE = "0199d3c0-0000-7000-8000-000000000001"


def attention(code: str, subject: str) -> Attention:
    """Return something that waits, with a sentence that must not be told."""
    return Attention(
        code=code,
        subject=subject,
        who="operator",
        at=datetime(2026, 11, 22, tzinfo=UTC),
        peer=CountryCode("FI"),
        authority=AuthorityId("test-office"),
        detail=CANARY,
    )


async def test_attention_is_one_line_without_content(log_text: io.StringIO) -> None:
    """Code, country, office and who must act are told; subject and sentence are not; the alert is counted."""
    metrics = Metrics(CollectorRegistry())

    await LogNotifier(Log("notify"), metrics).notify(attention("adapter-stopped", CANARY))

    (line,) = [json.loads(text) for text in log_text.getvalue().splitlines()]
    assert (line["event"], line["level"]) == ("attention.raised", "warning")
    assert (line["code"], line["peer"], line["authority"], line["who_must_act"]) == (
        "adapter-stopped", "FI", "test-office", "operator",
    )  # fmt: skip
    assert "Maarika" not in log_text.getvalue()
    assert b"trm_attention" in metrics.exposition({})


async def test_arrival_is_no_alert(log_text: io.StringIO) -> None:
    """A message that arrived is told by its id, as something in order."""
    await LogNotifier(Log("notify"), Metrics(CollectorRegistry())).notify(attention(ARRIVED, MESSAGE))

    (line,) = [json.loads(text) for text in log_text.getvalue().splitlines()]
    assert (line["event"], line["level"], line["message"]) == ("message.handed-over", "info", MESSAGE)
    assert "Maarika" not in log_text.getvalue()
