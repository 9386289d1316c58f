# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Taking a message from a caller."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from broker.core.errors import (
    NotAllowed,
    SafeguardBlocked,
    SchemaInvalid,
    SenderError,
    TooLargeToSend,
    VersionNotSupported,
)
from broker.core.ids import MessageType, SchemaVersion
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.world import Country, World


def _request() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    return data


def _endangering() -> dict[str, Any]:
    data = _request()
    data["body"]["danger_assessment"]["would_endanger"] = "YES"
    return data


def _huge() -> dict[str, Any]:
    data = _request()
    person = data["body"]["persons_sought"][0]
    lines = [f"{number:02}" + "\U0001f54a" * 190 for number in range(20)]
    person |= {"aliases": lines, "do_not_tell": lines, "note": "\U0001f54a" * 1990}
    person["evidence"] = [dict(person["evidence"][0], description=line) for line in lines[:10]]
    people = [copy.deepcopy(person) for _ in range(20)]
    data["body"]["persons_sought"] = [dict(one, person=f"P{number}") for number, one in enumerate(people, 1)]
    return data


async def _nothing_stored(country: Country) -> None:
    assert not [name for name, number in (await country.counts()).items() if number]
    page = await country.store.read(lambda reader: reader.procedures(None, cursor=None, limit=5))
    trail = await country.store.read(lambda reader: reader.audit(cursor=None, limit=5))
    assert (page.items, trail.items) == ((), ())


@pytest.mark.parametrize(
    ("data", "error", "where"),
    [
        (_endangering(), SafeguardBlocked, "/body/danger_assessment/would_endanger"),
        (_huge(), TooLargeToSend, "/body"),
    ],
    ids=["blocked", "too large"],
)
async def test_what_may_not_leave_is_not_stored(
    world: World, data: dict[str, Any], error: type[SenderError], where: str
) -> None:
    """A blocked or too large message leaves no entry, no procedure and no audit row; its key stays free."""
    with pytest.raises(error) as caught:
        await world["EE"].submit(data, idempotency_key="k")
    assert caught.value.where == where
    await _nothing_stored(world["EE"])

    mended = await world["EE"].submit("request.json", idempotency_key="k")
    assert not mended.repeated


async def _asylum_request(world: World) -> Accepted:
    data = json.loads(read_schema_file("examples/family-tracing/request-notice-of-official-channel.json"))
    data["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    data["sender"] = {"authority": "social-insurance-board"}
    data["body"]["family_protection_claims"] = {"not_applicable": True}
    for claimed in (data["body"], *data["body"]["persons_sought"]):
        claimed["protection_claim"] = {**data["body"]["protection_claim"], "status": "NONE"}
    request = await world["EE"].submit(data)
    await world.settle()
    return request


async def _extend(world: World, request: Accepted, deadline: str, until: str = "2026-12-21") -> Accepted:
    data: dict[str, Any] = json.loads(read_schema_file("examples/acts/extension-notice-two-weeks.json"))
    data["body"] |= {"deadline": deadline, "new_date": until}
    return await world["FI"].submit(data, procedure=request.procedure)


async def test_a_deadline_is_extended_only_where_its_source_allows_it_and_once(world: World) -> None:
    """IR2055 11 allows two weeks more; the acknowledgement's time and a statutory one without such words do not move."""
    request = await _asylum_request(world)
    for deadline in ("acknowledge", "no-such-deadline"):
        with pytest.raises(NotAllowed) as refused:
            await _extend(world, request, deadline)
        assert refused.value.where == "/body/deadline"
        assert "answer-ir2055-11" in refused.value.detail
    assert "extension-notice" in (await world["FI"].view(request.procedure)).actions
    await _extend(world, request, "answer-ir2055-11")
    assert "extension-notice" not in (await world["FI"].view(request.procedure)).actions
    with pytest.raises(NotAllowed) as refused:
        await _extend(world, request, "answer-ir2055-11")
    assert "none" in refused.value.detail
    assert [line.act for line in (await world["FI"].view(request.procedure)).entries] == ["request", "extension-notice"]


async def test_the_new_date_lies_within_what_the_source_allows(world: World) -> None:
    """Later than the last day as it stands, and not later than the two weeks more that IR2055 11 gives."""
    request = await _asylum_request(world)
    assert (await world["FI"].view(request.procedure)).deadlines[1].longest_day == date(2026, 12, 21)
    for until in ("2026-12-07", "2026-12-22", "2027-06-30"):
        with pytest.raises(NotAllowed) as refused:
            await _extend(world, request, "answer-ir2055-11", until)
        assert refused.value.where == "/body/new_date"
        assert "after 2026-12-07 and not after 2026-12-21" in refused.value.detail
    assert len((await world["FI"].view(request.procedure)).entries) == 1
    await _extend(world, request, "answer-ir2055-11", "2026-12-14")
    assert (await world["FI"].view(request.procedure)).deadlines[1].extended


async def test_a_deadline_that_has_passed_is_not_extended(world: World) -> None:
    """Whoever announces it too late is late."""
    request = await _asylum_request(world)
    world.clock.advance(16 * 24 * 3600)
    with pytest.raises(NotAllowed):
        await _extend(world, request, "answer-ir2055-11")
    assert len((await world["FI"].view(request.procedure)).entries) == 1


async def test_what_is_not_known_of_a_country_is_told_to_the_author(world: World) -> None:
    """The message leaves, with the open question; a repetition of the key tells it again."""
    accepted = await world["EE"].submit("request.json", idempotency_key="k")
    assert [(one.rule, one.code) for one in accepted.warnings] == [("R-31", "competence-not-known")]
    again = await world["EE"].submit("request.json", idempotency_key="k")
    assert (again.repeated, again.warnings) == (True, accepted.warnings)


async def test_what_only_a_newer_version_can_say_is_refused_with_what_to_do(world: World) -> None:
    """The form is right, the country is older: that is said, and not that the member is none; a wrong form stays one."""
    ee, kind = world["EE"], MessageType("family-tracing.correction")
    world.set_trust(
        lambda member: (
            replace(member, messages={**member.messages, kind: (SchemaVersion("1.0"),)})
            if member.country == "FI"
            else member
        )
    )
    await ee.trust.refresh()
    request = await ee.submit("request.json")
    correction = json.loads(read_schema_file("examples/acts/correction-age-decided.json"))
    del correction["version"]

    with pytest.raises(VersionNotSupported, match=r"version 1\.0.*version 1\.1.*in words") as refused:
        await ee.submit(correction, procedure=request.procedure)
    assert refused.value.where == "/body"
    correction["body"]["age_decison"] = correction["body"].pop("age_decision")
    with pytest.raises(SchemaInvalid):
        await ee.submit(correction, procedure=request.procedure)
