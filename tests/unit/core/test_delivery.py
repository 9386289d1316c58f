# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about retries, the evidence ladder and calling people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core import delivery
from broker.core.attention import AttentionCode
from broker.core.delivery import (
    ATTENTION_AFTER_ATTEMPTS,
    RESENDS_BY_ITSELF,
    LadderLimits,
    LadderStep,
    StepLimit,
    is_due,
    is_recent,
    retry,
)
from broker.core.errors import (
    AdapterFailed,
    BrokerError,
    DiskFull,
    KeyMissing,
    PublishUnconfirmed,
    RecipientSuspended,
    TransportUnavailable,
    Unroutable,
    every_error,
)

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
ALMOST_ONE = 0.999_999


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.sampled_from(list(every_error())))
def test_an_entry_is_always_tried_again_between_a_second_and_five_minutes(
    attempts: int, jitter: float, error: type[BrokerError]
) -> None:
    """Whatever failed and however often, there is a next attempt (promise P1)."""
    wait = retry(attempts, error(), now=NOW, jitter=jitter).next_at - NOW
    assert timedelta(seconds=1) <= wait <= timedelta(minutes=5)


def test_waiting_doubles_up_to_five_minutes() -> None:
    """The longest wait doubles with each failure."""
    waits = [
        round((retry(attempts, AdapterFailed(), now=NOW, jitter=ALMOST_ONE).next_at - NOW).total_seconds())
        for attempts in range(10)
    ]
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_nothing_waits_for_long_once_the_transport_is_back() -> None:
    """However long it was away, what waits is tried again within half a minute."""
    wait = retry(10**6, TransportUnavailable(), now=NOW, jitter=ALMOST_ONE).next_at - NOW
    assert wait <= timedelta(seconds=30)


@pytest.mark.parametrize(
    ("before", "longest"), [("transport-unavailable", 30), ("publish-unconfirmed", 300), (None, 300)]
)
def test_a_broker_that_is_just_coming_back_makes_nothing_wait_for_long(before: str | None, longest: int) -> None:
    """Its first outcome may be unknown; whose outcome stays unknown is tried less often."""
    wait = retry(10**6, PublishUnconfirmed(), now=NOW, jitter=ALMOST_ONE, before=before).next_at - NOW
    assert round(wait.total_seconds()) == longest


def test_a_moment_that_no_right_clock_has_written_is_due() -> None:
    """Hours ahead, as by a wrong time zone: nothing is put off for so long, so the clock was set right since."""
    waits = (-1.0, 0.0, 0.01, 0.25, 0.9, 24.0, 1_000.0)
    assert [is_due(NOW + timedelta(hours=hours), NOW) for hours in waits] == [
        True, True, False, False, True, True, True,
    ]  # fmt: skip


def test_jitter_spreads_over_the_whole_wait() -> None:
    """With no jitter the shortest wait is kept at every attempt."""
    assert retry(9, TransportUnavailable(), now=NOW, jitter=0.0).next_at == NOW + timedelta(seconds=1)


@pytest.mark.parametrize("error", [TransportUnavailable(), AdapterFailed()])
def test_a_passing_failure_calls_a_person_after_some_attempts(error: BrokerError) -> None:
    """What may go by itself gets a few attempts first."""
    called = [
        retry(attempts, error, now=NOW, jitter=0.5).call_person for attempts in range(ATTENTION_AFTER_ATTEMPTS + 1)
    ]
    assert called == [False] * (ATTENTION_AFTER_ATTEMPTS - 1) + [True, True]


@pytest.mark.parametrize("error", [Unroutable(), KeyMissing(), DiskFull(), RecipientSuspended()])
def test_what_only_a_person_mends_calls_one_at_once(error: BrokerError) -> None:
    """The first failure already calls."""
    assert retry(0, error, now=NOW, jitter=0.5).call_person


LADDER = [
    (LadderStep.PUBLISHED, 1, 12, AttentionCode.OVERDUE_DELIVERED, AttentionCode.FAILED_DELIVERED),
    (LadderStep.DELIVERED, 12, 24, AttentionCode.OVERDUE_HANDED_OVER, AttentionCode.FAILED_HANDED_OVER),
    (LadderStep.HANDED_OVER, 24, 36, AttentionCode.OVERDUE_OPENED, AttentionCode.FAILED_OPENED),
]


@pytest.mark.parametrize(("step", "warn", "fail", "warned", "failed"), LADDER)
def test_each_step_is_late_and_then_failed(
    step: LadderStep, warn: int, fail: int, warned: AttentionCode, failed: AttentionCode
) -> None:
    """Each after its own time, and under its own code."""
    assert LadderLimits().of(step) == StepLimit(warn=timedelta(hours=warn), fail=timedelta(hours=fail))
    assert AttentionCode.for_overdue(step, failed=False) is warned
    assert AttentionCode.for_overdue(step, failed=True) is failed


def test_nothing_waits_in_a_state_off_the_ladder() -> None:
    """Asking about an opened entry is a mistake and says so."""
    with pytest.raises(ValueError, match="opened"):
        LadderLimits().of("opened")


@pytest.mark.parametrize(("warn", "fail"), [(0, 1), (2, 1), (-1, 1)])
def test_impossible_limits_are_refused(warn: int, fail: int) -> None:
    """A limit warns after some time and not later than it fails."""
    with pytest.raises(ValueError, match="warn"):
        StepLimit(warn=timedelta(hours=warn), fail=timedelta(hours=fail))


def test_the_limits_are_the_designs() -> None:
    """Quarantine, parking, resends and repetition keep to the numbers of the design."""
    assert (delivery.QUARANTINE_MAX_ITEMS, delivery.QUARANTINE_MAX_BYTES) == (1000, 256 * 2**20)
    assert (delivery.PARKED_MAX_ITEMS, delivery.PARKED_MAX_BYTES) == (200, 64 * 2**20)
    assert (delivery.REANSWER_SECONDS, delivery.TRUST_REFRESH_SECONDS) == (60, 60)
    assert (RESENDS_BY_ITSELF, delivery.HOLD_DAYS) == (3, 7)


@pytest.mark.parametrize(
    ("seconds", "recent"), [(-7_200, False), (-0.001, False), (0, True), (59.999, True), (60, False)]
)
def test_what_happened_in_the_future_is_not_recent(seconds: float, recent: bool) -> None:
    """It was written before a clock was set right, and must not keep anybody quiet until then."""
    assert is_recent(NOW - timedelta(seconds=seconds), NOW, 60) is recent
