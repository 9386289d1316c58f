# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The simulators that tests stand on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.core.ids import CountryCode, MessageType, SchemaVersion
from broker.settings import Settings
from broker.testing.clock import HandClock
from broker.testing.compute import InlineCompute
from broker.testing.federation import OFFICES, make_federation
from broker.testing.ids import SeededIds
from broker.trust.opening import trust_in_force
from broker.vault import open_vault

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MESSAGES = {MessageType("family-tracing.request"): (SchemaVersion("1.0"),)}


async def test_clock_moves_only_by_hand() -> None:
    """A sleeper wakes when the clock has been moved far enough, not before."""
    clock = HandClock(NOW)
    task = asyncio.create_task(clock.sleep(10))
    await clock.until_sleeping()

    clock.advance(9.5)
    await asyncio.sleep(0)
    assert not task.done()
    clock.advance(0.5)
    await task

    assert clock.now() == NOW + timedelta(seconds=10)
    assert clock.monotonic() == 10
    assert clock.sleeping == 0


async def test_passing_time_runs_loops_in_order() -> None:
    """Two loops wake each at its own time, again and again, in the order of time."""
    clock = HandClock(NOW)
    seen: list[tuple[str, float]] = []

    async def loop(name: str, seconds: float) -> None:
        while True:
            await clock.sleep(seconds)
            seen.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(loop("slow", 3)), asyncio.create_task(loop("fast", 2))]
    await clock.until_sleeping(2)
    await clock.pass_by(6)

    assert seen == [("fast", 2), ("slow", 3), ("fast", 4), ("slow", 6), ("fast", 6)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert clock.sleeping == 0


async def test_wrong_wall_clock_leaves_the_monotonic_one() -> None:
    """Setting the clock back changes the time of day only; sleeping nothing gives way once."""
    clock = HandClock(NOW)
    clock.advance(60)

    clock.set_back(3600)
    await clock.sleep(0)

    assert clock.now() == NOW - timedelta(minutes=59)
    assert clock.monotonic() == 60


def test_seeded_identifiers_repeat_and_differ_by_seed() -> None:
    """The same seed gives the same identifiers, another seed others; all have their form."""
    clock = HandClock(NOW)

    def some(seed: str) -> list[str]:
        ids = SeededIds(seed, clock)
        return [
            ids.message_id(), ids.procedure_id(), ids.case_ref(exercise=True), ids.case_ref(exercise=False),
            ids.nonce(), ids.token(), str(ids.jitter()),
        ]  # fmt: skip

    assert some("EE") == some("EE")
    assert not set(some("EE")) & set(some("FI"))
    assert int(some("EE")[0].replace("-", "")[:12], 16) == NOW.timestamp() * 1000


async def test_inline_compute_runs_where_it_stands() -> None:
    """The result and the exception come back without a thread."""
    compute = InlineCompute()

    def fail() -> None:
        raise LookupError

    assert await compute.run(lambda: 5) == 5
    with pytest.raises(LookupError):
        await compute.run(fail)


def test_federation_is_complete(tmp_path: Path) -> None:
    """Every country has settings, a vault that opens and signs, its offices, and the one trust list."""
    made = make_federation(
        tmp_path, ("EE", "FI", "NO"), messages=MESSAGES, now=NOW,
        filedrop={"FI": ["helsinki-wellbeing-services"]}, settings={"EE": {"log_level": "DEBUG"}},
    )  # fmt: skip

    assert set(made.homes) == set(made.trust.members) == {"EE", "FI", "NO"}
    for country, home in made.homes.items():
        settings = Settings.load(home)
        vault = open_vault(settings)
        trust = trust_in_force(settings)
        assert (settings.country, settings.spool_folder, trust) == (country, made.spool_folder, made.trust)
        assert vault.signer(trust, NOW).ed25519_kid in {key.kid for key in trust.members[country].keys}
        assert dict(trust.members[country].messages) == MESSAGES
    assert made.trust.members[CountryCode("FI")].authorities == OFFICES["FI"]
    assert len(made.trust.members[CountryCode("NO")].authorities) == 1
    assert Settings.load(made.homes[CountryCode("EE")]).log_level == "DEBUG"
    assert Settings.load(made.homes[CountryCode("FI")]).adapters["filedrop"].authorities == (
        "helsinki-wellbeing-services",
    )


def test_a_copied_federation_stands_for_itself(tmp_path: Path) -> None:
    """It has the same keys in its own folder: what its officers publish there leaves the first one as it was."""
    made = make_federation(tmp_path / "one", ("EE", "FI"), messages=MESSAGES, now=NOW)
    copied = made.copied(tmp_path / "two")
    copied.office.repository.suspend(CountryCode("FI"), "A drill.", now=datetime.now(UTC))
    copied.office.publish(now=datetime.now(UTC))

    settings, first = (Settings.load(one.homes[CountryCode("EE")]) for one in (copied, made))
    assert settings.spool_folder == copied.spool_folder == tmp_path / "two" / "spool"
    vaults = [open_vault(one) for one in (settings, first)]
    assert vaults[0].public_keys() == vaults[1].public_keys()
    assert trust_in_force(settings).version == made.trust.version + 1
    assert trust_in_force(first) == made.trust


def test_federation_over_rabbitmq_takes_each_countrys_address(tmp_path: Path) -> None:
    """No spool is made, and the address stands in the settings of its country."""
    made = make_federation(
        tmp_path, ("EE",), messages=MESSAGES, now=NOW, transport="rabbitmq",
        settings={"EE": {"amqp_url": "amqp://ee@127.0.0.1/"}},
    )  # fmt: skip

    assert Settings.load(made.homes[CountryCode("EE")]).amqp_address() == "amqp://ee@127.0.0.1/"
    assert not made.spool_folder.exists()
