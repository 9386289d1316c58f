# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What this node counts for its operators; every label has few values and none says anything about a person (P5).

- The registry is passed in: two nodes in one process keep their counts apart.
- A label value that is not of its closed form is counted as ``other``, so neither a name nor an endless series gets in.
- Gauges come from `Reader.counts()` at the moment of a scrape.
- What an alert asks the increase of begins with nought: Prometheus sees none in a series whose first value is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from broker.core.attention import AttentionCode
from broker.core.errors import Fate, UntrustedError, by_code
from broker.core.ids import CountryCode, MessageType
from broker.core.receipts import ReceiptKind

__all__ = ["CONTENT_TYPE", "OTHER", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"

_CODE = re.compile(r"[a-z][a-z0-9-]{0,47}", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "PATCH", "POST"})
_DIRECTIONS = frozenset({"in", "out"})
_KINDS = frozenset(ReceiptKind)
_CALLS = frozenset(code.value for code in AttentionCode)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
_DELIVERY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0, 3600.0, 43200.0)  # seconds


class Metrics:
    """The node's counters, histograms and gauges in one registry."""

    def __init__(self, registry: CollectorRegistry, *, types: frozenset[MessageType] = frozenset()) -> None:
        """Args:
        registry: where the metrics are registered, once.
        types: the catalogue's message types, the only ones counted apart.
        """
        self._registry = registry
        self._types = frozenset(str(known) for known in types)
        self._error_codes = frozenset(by_code())
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "trm_http_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "trm_http_request_seconds", "Time to answer.", ("route",), buckets=_REQUEST_BUCKETS, registry=registry
        )
        self._submitted = Counter("trm_submitted", "Messages accepted here.", ("peer", "type"), registry=registry)
        self._published = Counter("trm_published", "Envelopes that the transport took.", ("peer",), registry=registry)
        self._failed = Counter("trm_publish_failures", "Attempts without success.", ("peer", "code"), registry=registry)
        self._received = Counter("trm_received", "Messages believed and recorded.", ("peer", "type"), registry=registry)
        self._rejected = Counter(
            "trm_rejected", "Inbound messages refused, quarantined or parked.", ("fate", "code"), registry=registry
        )
        self._abused = Counter(
            "trm_publishing_abuse", "Rules of publishing that a broker user broke.", ("peer", "code"), registry=registry
        )
        self._seen = Counter("trm_deliveries_seen", "Deliveries looked at, whatever was decided.", registry=registry)
        self._repeated = Counter("trm_repeated", "Deliveries that were known already.", registry=registry)
        self._receipts = Counter("trm_receipts", "Receipts.", ("direction", "peer", "kind"), registry=registry)
        self._raised = Counter("trm_attention_raised", "Entries raised for people.", ("code",), registry=registry)
        self._delivery = Histogram(
            "trm_delivery_seconds",
            "From submit to the peer's delivered receipt.",
            ("peer",),
            buckets=_DELIVERY_BUCKETS,
            registry=registry,
        )
        self._outbox = Gauge("trm_outbox", "Outbox entries by state.", ("state",), registry=registry)
        self._inbox = Gauge("trm_inbox", "Inbox entries by state.", ("state",), registry=registry)
        self._waiting = Gauge("trm_waiting", "What waits elsewhere.", ("what",), registry=registry)
        for called in AttentionCode:
            self._raised.labels(called.value)
        for code, error in by_code().items():
            if issubclass(error, UntrustedError):
                self._rejected.labels(error.fate, code)

    def request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; the route is a template of the route table, never a raw path."""
        self._requests.labels(method if method in _METHODS else OTHER, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def submitted(self, peer: str, message_type: str) -> None:
        """Count a message that this node accepted for sending."""
        self._submitted.labels(_country(peer), self._type(message_type)).inc()

    def published(self, peer: str) -> None:
        """Count an envelope that the transport confirmed."""
        self._published.labels(_country(peer)).inc()

    def publish_failed(self, peer: str, code: str) -> None:
        """Count an attempt to publish that will be repeated."""
        self._failed.labels(_country(peer), self._error(code)).inc()

    def received(self, peer: str, message_type: str) -> None:
        """Count a message that was believed, valid and recorded."""
        self._received.labels(_country(peer), self._type(message_type)).inc()

    def rejected(self, fate: str, code: str) -> None:
        """Count a delivery that was refused, quarantined, parked or left undecided."""
        self._rejected.labels(fate if fate in frozenset(Fate) else OTHER, self._error(code)).inc()

    def abused(self, peer: str, code: str) -> None:
        """Count a rule of publishing that the broker user of a delivery broke."""
        self._abused.labels(_country(peer), code if _CODE.fullmatch(code) else OTHER).inc()

    def seen(self) -> None:
        """Count a delivery that the transport brought, whatever was decided about it."""
        self._seen.inc()

    def repeated(self) -> None:
        """Count a delivery whose bytes or message were decided before."""
        self._repeated.inc()

    def receipts(self, *, direction: str, peer: str, kind: str, number: int) -> None:
        """Count receipts of a kind, issued (out) or got (in)."""
        known = kind if kind in _KINDS else OTHER
        self._receipts.labels(direction if direction in _DIRECTIONS else OTHER, _country(peer), known).inc(number)

    def attention_raised(self, code: str) -> None:
        """Count an entry raised for people."""
        self._raised.labels(code if code in _CALLS else OTHER).inc()

    def delivered(self, peer: str, seconds: float) -> None:
        """Count the time from submit to the delivered receipt."""
        self._delivery.labels(_country(peer)).observe(seconds)

    def exposition(self, counts: Mapping[str, int]) -> bytes:
        """Return everything in Prometheus' text format, gauges set from the store's counts."""
        self._outbox.clear()
        self._inbox.clear()
        self._waiting.clear()
        for name, number in counts.items():
            self._gauge(name, number)
        return generate_latest(self._registry)

    def _gauge(self, name: str, number: int) -> None:
        table, _, state = name.partition(".")
        if _CODE.fullmatch(state) and table in {"outbox", "inbox"}:
            (self._outbox if table == "outbox" else self._inbox).labels(state).set(number)
        elif _CODE.fullmatch(name.replace(".", "-")):
            self._waiting.labels(name.replace(".", "-")).set(number)

    def _type(self, message_type: str) -> str:
        return message_type if message_type in self._types else OTHER

    def _error(self, code: str) -> str:
        return code if code in self._error_codes else OTHER


@lru_cache(maxsize=512)  # twice as many as there are countries
def _country(text: str) -> str:
    try:
        return CountryCode(text)
    except ValueError:
        return OTHER
