# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What may become a metric."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from broker.api.routes import ROUTES
from broker.core.attention import AttentionCode
from broker.core.errors import Fate, UntrustedError, by_code
from broker.core.ids import MessageType
from broker.metrics import Metrics

CANARY = "Maarika"
REQUEST = MessageType("family-tracing.request")


@pytest.fixture
def metrics() -> Metrics:
    """Metrics in a registry of their own."""
    return Metrics(CollectorRegistry(), types=frozenset({REQUEST}))


def samples(
    metrics: Metrics, counts: dict[str, int] | None = None
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scrape shows, by name and labels."""
    text = metrics.exposition(counts or {}).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_count_by_country_and_type(metrics: Metrics) -> None:
    """A submitted message is counted under its peer and type."""
    metrics.submitted("FI", REQUEST)
    metrics.submitted("FI", REQUEST)
    metrics.submitted("SE", REQUEST)

    found = samples(metrics)
    assert found["trm_submitted_total", (("peer", "FI"), ("type", REQUEST))] == 2
    assert found["trm_submitted_total", (("peer", "SE"), ("type", REQUEST))] == 1


def test_receipts_of_an_envelope_are_counted_together(metrics: Metrics) -> None:
    """As many as there are of a kind; a direction and a kind of their own are counts of their own."""
    metrics.receipts(direction="in", peer="FI", kind="delivered", number=3)
    metrics.receipts(direction="in", peer="FI", kind="delivered", number=2)
    metrics.receipts(direction="out", peer="FI", kind="opened", number=1)

    found = {labels: number for (name, labels), number in samples(metrics).items() if name == "trm_receipts_total"}
    assert found == {
        (("direction", "in"), ("kind", "delivered"), ("peer", "FI")): 5,
        (("direction", "out"), ("kind", "opened"), ("peer", "FI")): 1,
    }


@pytest.mark.parametrize(
    "count",
    [
        lambda metrics: metrics.submitted(CANARY, CANARY),
        lambda metrics: metrics.published(CANARY),
        lambda metrics: metrics.publish_failed(CANARY, CANARY),
        lambda metrics: metrics.received(CANARY, "maarika.naidis"),
        lambda metrics: metrics.rejected(CANARY, CANARY),
        lambda metrics: metrics.rejected("maarika", "maarika"),
        lambda metrics: metrics.receipts(direction=CANARY, peer=CANARY, kind=CANARY, number=1),
        lambda metrics: metrics.attention_raised(CANARY),
        lambda metrics: metrics.delivered(CANARY, 1.0),
        lambda metrics: metrics.abused(CANARY, CANARY),
        lambda metrics: metrics.request(method=CANARY, route="/api/v1/messages", status=200, seconds=0.1),
        lambda metrics: metrics.exposition({f"outbox.{CANARY}": 1, CANARY: 1, f"waiting.{CANARY}": 2}),
    ],
)  # fmt: skip
def test_unknown_labels_become_other(metrics: Metrics, count: Callable[[Metrics], object]) -> None:
    """A value outside a label's closed form never becomes a label."""
    count(metrics)

    assert CANARY.lower() not in metrics.exposition({}).decode().lower()


def test_what_an_alert_asks_for_is_counted_from_nought() -> None:
    """Prometheus sees no increase in a series that begins with one: the first call for each code would alert nobody."""
    begun = samples(Metrics(CollectorRegistry()))

    for code in AttentionCode:
        assert begun["trm_attention_raised_total", (("code", code.value),)] == 0
    for code, error in by_code().items():
        if issubclass(error, UntrustedError) and error.fate is Fate.QUARANTINE:
            assert begun["trm_rejected_total", (("code", code), ("fate", "quarantine"))] == 0


def test_every_method_of_the_api_is_counted_apart(metrics: Metrics) -> None:
    """An operator sees uploads, which go on by PATCH, apart from what strangers try."""
    for method in {route.method for route in ROUTES} | {"TRACE"}:
        metrics.request(method=method, route="/x", status=200, seconds=0.1)

    found = {dict(labels)["method"] for name, labels in samples(metrics) if name == "trm_http_requests_total"}
    assert found == {route.method for route in ROUTES} | {"other"}


def test_attention_codes_are_bounded(metrics: Metrics) -> None:
    """However many codes come, the number of series stays small: those of the list, and one for all others."""
    for number in range(500):
        metrics.attention_raised(f"code-{number}")

    series = [key for key in samples(metrics) if key[0] == "trm_attention_raised_total"]
    assert len(series) == len(AttentionCode) + 1
    assert samples(metrics)["trm_attention_raised_total", (("code", "other"),)] == 500


def test_gauges_are_the_counts_of_this_scrape(metrics: Metrics) -> None:
    """Gauges show the store's counts; what is no longer counted disappears."""
    first = samples(metrics, {"outbox.published": 3, "inbox.recorded": 1, "quarantine": 2, "receipts.waiting": 4})
    second = samples(metrics, {"outbox.delivered": 3})

    assert first["trm_outbox", (("state", "published"),)] == 3
    assert first["trm_inbox", (("state", "recorded"),)] == 1
    assert first["trm_waiting", (("what", "quarantine"),)] == 2
    assert first["trm_waiting", (("what", "receipts-waiting"),)] == 4
    assert ("trm_outbox", (("state", "published"),)) not in second
    assert second["trm_outbox", (("state", "delivered"),)] == 3


def test_two_nodes_in_one_process_count_apart() -> None:
    """Nothing is registered globally."""
    ours, theirs = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    ours.published("FI")

    assert samples(ours)["trm_published_total", (("peer", "FI"),)] == 1
    assert ("trm_published_total", (("peer", "FI"),)) not in samples(theirs)
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("trm_")]
