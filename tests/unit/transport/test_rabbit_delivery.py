# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What an AMQP message says about itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiormq.abc import DeliveredMessage
from pamqp import commands as spec
from pamqp.header import ContentHeader

from broker.core.messages import Delivery
from broker.testing.transport_contract import sealed
from broker.transport.rabbit_delivery import delivery_of, properties_for

GOOD: dict[str, Any] = {
    "content_type": "application/jose+json",
    "delivery_mode": 2,
    "message_id": "0198c000-0000-7000-8000-000000000000",
    "user_id": "EE",
}


def read(**changes: Any) -> Delivery:
    """Return the delivery of a good message with changes."""
    message = DeliveredMessage(
        delivery=spec.Basic.Deliver(
            consumer_tag="c", delivery_tag=7, redelivered=False, exchange="trm", routing_key="FI"
        ),
        header=ContentHeader(properties=spec.Basic.Properties(**GOOD | changes)),
        body=b"raw",
        channel=None,
    )
    return delivery_of(message, queue="in", lost=asyncio.Event(), unsettled=set())


def test_our_own_properties_are_no_abuse() -> None:
    """What a node publishes is read without complaint, and as its user's."""
    envelope = sealed()
    own = {name: value for name, value in properties_for(envelope) if value not in (None, "")}
    delivery = read(**own)
    assert (delivery.user, delivery.abuse, delivery.raw) == ("EE", (), b"raw")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"user_id": None}, "no-user"),
        ({"user_id": ""}, "no-user"),
        ({"headers": {"CC": ["SE"]}}, "copies"),
        ({"headers": {"note": "anything"}}, "headers"),
        ({"expiration": "1"}, "expiration"),
        ({"headers": {"x-death": [], "x-first-death-reason": "expired"}}, "expiration"),
        ({"priority": 0}, "properties"),
        ({"reply_to": "elsewhere"}, "properties"),
        ({"app_id": "tool"}, "properties"),
        ({"message_type": "kind"}, "properties"),
        ({"content_type": "text/plain"}, "content-type"),
        ({"delivery_mode": 1}, "not-persistent"),
        ({"message_id": None}, "no-message-id"),
    ],
)
def test_each_broken_rule_has_its_code_and_the_message_is_read(changes: dict[str, Any], code: str) -> None:
    """A message with one broken rule is delivered with exactly that code."""
    delivery = read(**changes)
    assert delivery.abuse == (code,)
    assert delivery.raw == b"raw"


def test_the_brokers_own_headers_are_no_abuse() -> None:
    """Coming back, and coming by the dead queue because of our own crashes, is not the sender's doing."""
    headers = {"x-delivery-count": 3, "x-death": [], "x-first-death-reason": "delivery_limit", "x-acquired-count": 4}
    delivery = read(headers=headers)
    assert delivery.abuse == ()
    assert delivery.tag.count == 3


@pytest.mark.parametrize("count", ["3", -1, None, [], 0])
def test_a_forged_delivery_count_is_read_as_none(count: object) -> None:
    """Whatever stands in the header, reading does not fail and no pause becomes endless."""
    assert read(headers={"x-delivery-count": count}).tag.count == 0


def test_settling_counts_once() -> None:
    """The second settling is told apart: the broker would close the channel for it."""
    tag = read().tag
    assert tag.settle()
    assert not tag.settle()
    assert tag.unsettled == set()
