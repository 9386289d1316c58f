# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Estonia asks Finland to take a child into care: nothing but a consent to exactly this request lets it be ordered."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from broker.api.views import deadline
from broker.core.delivery import ReleaseReason
from broker.core.errors import NotAllowed, SafeguardBlocked, SafeguardHeld
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.world import World, officer

REQUEST, CONSENT, ORDER = "request-aunt-in-estonia", "decision-consent-for-a-year", "order-by-the-court"
LAST_DAY = "2027-03-31"


def _example(name: str, country: str, **changes: Any) -> dict[str, Any]:
    """Return an example as the two countries of this world exchange it, on Brussels IIb article 82."""
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/placement/{name}.json"))
    ours, theirs = ("social-insurance-board", ("FI", "helsinki-wellbeing-services"))
    if country == "FI":
        ours, theirs = ("helsinki-wellbeing-services", ("EE", "social-insurance-board"))
    data |= {"sender": {"authority": ours}, "recipient": {"country": theirs[0], "authority": theirs[1]}}
    data |= {"legal_basis": {"code": "B2B_82"}}
    data["body"].update(changes)
    return data


async def _send(world: World, country: str, name: str, asked: Accepted | None = None, **changes: Any) -> Accepted:
    named = {} if asked is None else {"procedure": str(asked.procedure)}
    sent = await world[country].submit(world[country].sealed(_example(name, country, **changes), **named))
    await world.settle()
    return sent


async def _consent(world: World, asked: Accepted, *, covers: Accepted | None = None, until: str = LAST_DAY) -> Accepted:
    return await _send(world, "FI", CONSENT, asked, covers=str((covers or asked).digest), valid_until=until)


async def _order(world: World, asked: Accepted, consent: Accepted) -> Accepted:
    return await _send(world, "EE", ORDER, asked, consent=str(consent.digest))


async def _states(world: World, asked: Accepted) -> set[str]:
    views = [await world[name].view(asked.procedure) for name in ("EE", "FI")]
    assert views[0].digest == views[1].digest
    return {view.state for view in views}


async def test_a_placement_is_ordered_on_the_consent_and_ends_with_it(world: World) -> None:
    """Request, consent, order, lapse: the same state and record in both countries after each."""
    asked = await _send(world, "EE", REQUEST)
    assert await _states(world, asked) == {"REQUESTED"}
    consent = await _consent(world, asked)
    assert await _states(world, asked) == {"CONSENTED"}
    await _order(world, asked, consent)
    assert await _states(world, asked) == {"ORDERED"}
    await _send(world, "FI", "lapse-carer-ill", asked, consent={"value": str(consent.digest)})

    assert await _states(world, asked) == {"LAPSED"}
    assert not (await world["EE"].view(asked.procedure)).alarm


async def test_three_months_of_silence_order_nothing(world: World) -> None:
    """The statutory day passes: the request is overdue, which is not consent, and the order is refused."""
    asked = await _send(world, "EE", REQUEST)
    world.clock.advance(100 * 86_400)
    running = {item["id"]: item for item in map(deadline, (await world["EE"].view(asked.procedure)).deadlines)}
    assert (running["decide-b2b"]["phase"], running["decide-b2b"]["kind"]) == ("OVERDUE", "STATUTORY")
    assert running["decide-b2b"]["silence"].startswith("Silence is not consent")
    with pytest.raises(NotAllowed):
        await _order(world, asked, asked)

    assert await _states(world, asked) == {"REQUESTED"}


async def test_a_consent_in_principle_orders_nothing(world: World) -> None:
    """Conditions are no consent; once they are met the consent itself is sent."""
    asked = await _send(world, "EE", REQUEST)
    waits = await _send(world, "FI", "consent-in-principle-conditions", asked, about=str(asked.digest))
    assert await _states(world, asked) == {"CONSENT_IN_PRINCIPLE"}
    with pytest.raises(NotAllowed):
        await _order(world, asked, waits)

    await _order(world, asked, await _consent(world, asked))
    assert await _states(world, asked) == {"ORDERED"}


async def test_a_consent_to_another_request_clears_nothing(world: World) -> None:
    """A changed request needs a new consent: the digest of the first is not that of the second."""
    asked = await _send(world, "EE", REQUEST)
    await _consent(world, asked)
    changed = await _send(world, "EE", REQUEST, asked, reasons="The aunt has moved to another town.")
    assert await _states(world, asked) == {"REQUESTED"}
    stale = await _consent(world, asked)
    with pytest.raises(NotAllowed, match="not agreed to exactly this"):
        await _order(world, asked, stale)

    await _order(world, asked, await _consent(world, asked, covers=changed))
    assert await _states(world, asked) == {"ORDERED"}


async def test_a_consent_ends_on_its_date(world: World) -> None:
    """On the last day the placement may be ordered, on the next no more."""
    asked = await _send(world, "EE", REQUEST)
    consent = await _consent(world, asked, until=world.clock.now().date().isoformat())
    world.clock.advance(86_400)
    status = json.loads(read_schema_file("examples/acts/status-not-started.json"))["body"]
    again = {**_example(REQUEST, "EE"), "type": "placement.status", "body": status}
    await world["EE"].submit(again, procedure=asked.procedure)  # freshly confirmed: only the date hinders
    await world.settle()
    with pytest.raises(NotAllowed, match="or no longer"):
        await _order(world, asked, consent)

    assert await _states(world, asked) == {"CONSENTED"}


async def test_the_end_of_the_period_is_a_day_to_know_three_months_before(world: World) -> None:
    """The period ends on its own date, also on a weekend; an extension is asked for while its answer can still come."""
    asked = await _send(world, "EE", REQUEST)
    end = date(2028, 1, 15)
    assert end.isoweekday() == 6
    await _send(
        world, "FI", CONSENT, asked, covers=str(asked.digest), valid_until=LAST_DAY,
        period={"from": "2027-01-15", "until": {"value": end.isoformat()}},
    )  # fmt: skip
    due = {item["id"]: item["due_local"] for item in map(deadline, (await world["EE"].view(asked.procedure)).deadlines)}

    assert due["period-ends"] == end.isoformat()
    assert date.fromisoformat(due["ask-for-more"]) <= end - timedelta(days=90)


async def test_a_consent_that_leaves_the_second_decision_open_does_not_leave(world: World) -> None:
    """R-34: where national law may ask for one, nobody is told that there is consent before that is settled."""
    asked = await _send(world, "EE", REQUEST)
    with pytest.raises(SafeguardBlocked):
        await _send(world, "FI", CONSENT, asked, covers=str(asked.digest), second_decision={"unknown": True})

    assert await _states(world, asked) == {"REQUESTED"}


@pytest.mark.parametrize("way", ["placement.correction", "correction.rectify"])
@pytest.mark.parametrize(
    ("by", "pointer", "now", "said"),
    [
        ("EE", "/reasons", "The aunt has moved to another town.", "agree anew"),
        ("EE", "/care/closed", "YES", "R-34"),
        ("FI", "/valid_until", "2026-11-21", "the last day of its consent has passed"),
        ("FI", "/consent", "CONSENT_REFUSED", "does not agree to this"),
    ],
)
async def test_nothing_is_ordered_on_what_was_corrected_since(
    world: World, way: str, by: str, pointer: str, now: str, said: str
) -> None:
    """R-07: the request was another one when it was consented to, or the consent is none any more; a new one is asked for."""
    asked = await _send(world, "EE", REQUEST)
    consent = await _consent(world, asked)
    world.clock.advance(1)
    apart = way == "correction.rectify"
    target = asked if by == "EE" else consent
    example = "correction/rectify-birth-year" if apart else "acts/correction-birth-year"
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{example}.json"))
    data |= {name: _example(CONSENT, by)[name] for name in ("sender", "recipient")}
    data |= {"type": way, **({} if apart else {"legal_basis": {"code": "B2B_82"}})}
    data["body"] |= {"targets": [str(target.digest)]} if apart else {"target": str(target.digest)}
    data["body"]["fields"] = [{"pointer": pointer, "now": {"value": now}}]
    try:
        await world[by].submit(data, **({} if apart else {"procedure": asked.procedure}))
    except SafeguardHeld:
        held = (await world[by].store.read(lambda reader: reader.drafts(None, cursor=None, limit=1))).items[0]
        await world[by].desk.approve.release(held.id, officer(held.authority, "second"), ReleaseReason.CHECKED)
    await world.settle()
    with pytest.raises(SafeguardBlocked, match=said):
        await _order(world, asked, consent)
    world.clock.advance(1)
    again = await _consent(world, asked)
    if said == "R-34":
        with pytest.raises(SafeguardBlocked, match=said):
            await _order(world, asked, again)
    else:
        await _order(world, asked, again)
        assert await _states(world, asked) == {"ORDERED"}
