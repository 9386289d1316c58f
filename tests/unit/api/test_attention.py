# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What people must look at, and who did what."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from broker.core.ids import CountryCode

ATTENTION = "/api/v1/attention"


async def subjects(desk: Any, token: str, query: str = "") -> list[str]:
    """The subjects that a token sees."""
    reply = await desk.ask("GET", f"{ATTENTION}{query}", token=token)
    assert reply.status == 200, reply.text
    return sorted(item["subject"] for item in reply.json["items"])


async def test_each_sees_its_own(desk: Any, raise_attention: Callable[..., Any], names: SimpleNamespace) -> None:
    """An office sees its entries; the node's admin and auditor see all."""
    await raise_attention("ours")
    await raise_attention("theirs", names.other)
    await raise_attention("whole-node", None)

    assert await subjects(desk, desk.token()) == ["ours"]
    assert await subjects(desk, desk.token(role="auditor")) == ["ours"]
    assert await subjects(desk, desk.token(authority=names.other)) == ["theirs"]
    for role in ("admin", "auditor"):
        seen = await subjects(desk, desk.token(role=role, authority=names.node))
        assert seen == ["ours", "theirs", "whole-node"]


async def test_resolving_closes_and_names_who(desk: Any, raise_attention: Callable[..., Any]) -> None:
    """A resolved entry leaves the open list and says when and by whom."""
    number = await raise_attention("ours")
    reply = await desk.ask("POST", f"{ATTENTION}/{number}/resolve", token=desk.token())

    assert (reply.status, reply.text) == (204, "")
    assert await subjects(desk, desk.token()) == []
    closed = (await desk.ask("GET", f"{ATTENTION}?open=false", token=desk.token())).json["items"][0]
    assert (closed["resolved_by"], closed["resolved"]) == ("officer-17", "2026-11-22T03:00:00.000Z")


async def test_others_entries_cannot_be_resolved(
    desk: Any, raise_attention: Callable[..., Any], assert_problem: Callable[..., Any], names: SimpleNamespace
) -> None:
    """Another office's entry and one that is closed already do not exist for the caller."""
    number = await raise_attention("theirs", names.other)
    again = await raise_attention("ours")
    await desk.ask("POST", f"{ATTENTION}/{again}/resolve", token=desk.token())

    for wanted in (number, again, number + 1000, 0, -1, "x", "9" * 30):
        reply = await desk.ask("POST", f"{ATTENTION}/{wanted}/resolve", token=desk.token())
        assert_problem(reply, 404, "not-found")
    assert await subjects(desk, desk.token(authority=names.other)) == ["theirs"]


async def test_the_list_is_limited_to_a_country_and_a_code(
    desk: Any, raise_attention: Callable[..., Any], names: SimpleNamespace
) -> None:
    """Either or both limit it, within what the office may see, and its pages hold each such call once."""
    await raise_attention("fi-late-1")
    await raise_attention("fi-gap", code="gap")
    await raise_attention("lv-gap", code="gap", peer=CountryCode("LV"))
    await raise_attention("clock", code="clock", peer=None)
    await raise_attention("theirs", names.other, code="gap")
    await raise_attention("fi-late-2")

    assert await subjects(desk, desk.token(), "?peer=FI") == ["fi-gap", "fi-late-1", "fi-late-2"]
    assert await subjects(desk, desk.token(), "?code=gap") == ["fi-gap", "lv-gap"]
    assert await subjects(desk, desk.token(), "?peer=LV&code=gap") == ["lv-gap"]
    assert await subjects(desk, desk.token(), "?peer=LV&code=clock") == []
    page = await desk.ask("GET", f"{ATTENTION}?peer=FI&code=overdue-delivered&limit=1", token=desk.token())
    more = f"?peer=FI&code=overdue-delivered&limit=1&cursor={page.json['next']}"
    assert [item["subject"] for item in page.json["items"]] == ["fi-late-2"]
    assert await subjects(desk, desk.token(), more) == ["fi-late-1"]
    assert "next" not in (await desk.ask("GET", f"{ATTENTION}{more}", token=desk.token())).json


@pytest.mark.parametrize(("name", "value"), [("peer", "finland"), ("peer", ""), ("code", "no-such"), ("code", "GAP")])
async def test_a_filter_that_is_none_is_refused(
    desk: Any, assert_problem: Callable[..., Any], name: str, value: str
) -> None:
    """A country or a code that cannot be is told, and not answered with an empty list."""
    reply = await desk.ask("GET", f"{ATTENTION}?{name}={value}", token=desk.token())

    assert_problem(reply, 400, "bad-request", where=f"query {name}")


@pytest.mark.parametrize("value", ["yes", "TRUE", "", "1"])
async def test_open_is_a_truth_value(desk: Any, assert_problem: Callable[..., Any], value: str) -> None:
    """Only true and false are taken."""
    reply = await desk.ask("GET", f"{ATTENTION}?open={value}", token=desk.token())

    assert_problem(reply, 400, "bad-request", where="query open")


async def test_trail_is_for_the_nodes_auditor(
    desk: Any, add_audit: Callable[..., Any], assert_problem: Callable[..., Any], names: SimpleNamespace
) -> None:
    """The trail covers every office, so an auditor of one office does not read it."""
    await add_audit("first")
    await add_audit("second")
    reply = await desk.ask("GET", "/api/v1/audit?limit=1", token=desk.token(role="auditor", authority=names.node))

    assert [row["subject"] for row in reply.json["items"]] == ["second"]
    assert reply.json["next"]
    assert_problem(await desk.ask("GET", "/api/v1/audit", token=desk.token(role="auditor")), 403, "forbidden")
