# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""To whom is sent apart, and whose turn it is."""

from __future__ import annotations

import pytest

from broker.core.delivery import PUBLISH_SLOW_SECONDS
from broker.core.errors import BrokerError, Internal, PublishRefused, PublishUnconfirmed, TransportUnavailable
from broker.core.ids import CountryCode
from broker.sent_apart import SentApart

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")


@pytest.fixture
def apart() -> SentApart:
    """Give three countries whose queues took long to fail, one after the other."""
    made = SentApart()
    for country in (EE, FI, SE):
        made.failed(country, PublishUnconfirmed(), PUBLISH_SLOW_SECONDS)
    return made


def test_nobody_is_sent_to_apart_before_a_queue_took_long() -> None:
    """A node begins with all countries together."""
    assert SentApart().countries == ()


@pytest.mark.parametrize(
    ("error", "seconds", "sent_apart"),
    [
        (PublishUnconfirmed(), PUBLISH_SLOW_SECONDS, True),
        (Internal(), PUBLISH_SLOW_SECONDS * 10, True),
        (PublishUnconfirmed(), PUBLISH_SLOW_SECONDS - 0.1, False),
        (PublishRefused(), 0.0, False),
        (TransportUnavailable(), PUBLISH_SLOW_SECONDS * 10, False),
    ],
)
def test_only_a_queue_that_takes_long_to_fail_is_sent_to_apart(
    error: BrokerError, seconds: float, sent_apart: bool
) -> None:
    """Whatever the fault; but what fails at once holds nobody up, and without a connection it is no country's queue."""
    apart = SentApart()
    apart.failed(FI, error, seconds)
    assert apart.countries == ((FI,) if sent_apart else ())


def test_the_turn_goes_round(apart: SentApart) -> None:
    """Whoever had it, or failed slowly once more, is behind the others; nobody stands there twice."""
    assert apart.countries == (EE, FI, SE)
    apart.had_turn(EE)
    assert apart.countries == (FI, SE, EE)
    apart.failed(FI, PublishUnconfirmed(), PUBLISH_SLOW_SECONDS)
    assert apart.countries == (SE, EE, FI)


def test_a_quick_failure_changes_no_turn(apart: SentApart) -> None:
    """It is neither a turn nor a sign that the queue takes messages again."""
    apart.failed(EE, PublishRefused(), 0.0)
    assert apart.countries == (EE, FI, SE)


def test_a_country_to_which_something_left_is_sent_to_with_all_others(apart: SentApart) -> None:
    """The turns of the others stay, and one that was never apart changes nothing."""
    apart.left(FI)
    assert apart.countries == (EE, SE)
    apart.left(FI)
    assert apart.countries == (EE, SE)
