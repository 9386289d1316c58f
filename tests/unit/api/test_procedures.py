# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

PROCEDURES = "/api/v1/procedures"


async def test_record_of_a_new_procedure(desk: Any, document: dict[str, Any]) -> None:
    """After the first message the record has one entry, which is its head and not final yet."""
    accepted = (await desk.submit(document)).json
    reply = await desk.ask("GET", f"{PROCEDURES}/{accepted['procedure']}", token=desk.token())

    assert reply.status == 200, reply.text
    record = reply.json
    assert (record["state"], record["role"], record["alarm"], record["gap"]) == (
        "REQUESTED",
        "REQUESTING",
        False,
        False,
    )
    assert record["heads"] == [accepted["digest"]]
    assert [(one["country"], one["role"]) for one in record["participants"]] == [
        ("EE", "REQUESTING"), ("FI", "REQUESTED"),
    ]  # fmt: skip
    assert len(record["digest"]) == 64
    assert record["entries"] == [
        {
            "digest": accepted["digest"], "message": accepted["message"], "author": "EE", "act": "request",
            "mark": "effect", "final": False,
        }
    ]  # fmt: skip


async def test_actions_are_message_types(desk: Any, document: dict[str, Any], receive: Callable[..., Any]) -> None:
    """The allowed next acts are named as a submission names them, for this side only."""
    ours = (await desk.submit(document)).json["procedure"]
    await receive()
    listed = (await desk.ask("GET", PROCEDURES, token=desk.token())).json["items"]
    (theirs,) = [item["id"] for item in listed if item["role"] == "REQUESTED"]
    first = (await desk.ask("GET", f"{PROCEDURES}/{ours}/actions", token=desk.token())).json
    second = (await desk.ask("GET", f"{PROCEDURES}/{theirs}/actions", token=desk.token())).json

    assert "family-tracing.withdrawal" in first["items"]
    assert "family-tracing.acknowledgement" in second["items"]
    assert not set(first["items"]) & {"family-tracing.acknowledgement", "family-tracing.request"}


async def test_timeline_names_step_and_proof(desk: Any, document: dict[str, Any]) -> None:
    """Every step says when, who, what, where it left the message and what proves it."""
    accepted = (await desk.submit(document)).json
    reply = await desk.ask("GET", f"{PROCEDURES}/{accepted['procedure']}/timeline", token=desk.token())

    assert reply.status == 200, reply.text
    (line,) = reply.json["items"]
    assert (line["who"], line["what"], line["state"]) == ("EE", "family-tracing.request", "recorded")
    assert line["message"] == accepted["message"]
    assert "Maarika" not in reply.text


async def test_other_authority_sees_no_procedure(
    desk: Any, document: dict[str, Any], assert_problem: Callable[..., Any], names: SimpleNamespace
) -> None:
    """Record, actions and timeline of another authority's procedure do not exist."""
    procedure = (await desk.submit(document)).json["procedure"]
    stranger = desk.token(authority=names.other)

    assert (await desk.ask("GET", PROCEDURES, token=stranger)).json == {"items": []}
    for path in ("", "/actions", "/timeline"):
        assert_problem(await desk.ask("GET", f"{PROCEDURES}/{procedure}{path}", token=stranger), 404, "not-found")


async def test_list_is_paged(desk: Any, document: dict[str, Any]) -> None:
    """Procedures come in pages, each once."""
    wanted = {(await desk.submit(document, key=f"key-{number}")).json["procedure"] for number in range(3)}
    first = (await desk.ask("GET", f"{PROCEDURES}?limit=2", token=desk.token())).json
    second = (await desk.ask("GET", f"{PROCEDURES}?limit=2&cursor={first['next']}", token=desk.token())).json

    assert {item["id"] for item in first["items"] + second["items"]} == wanted
    assert "next" not in second


async def test_the_record_alone_tells_when_the_child_comes_of_age(desk: Any, document: dict[str, Any]) -> None:
    """R-36: to who opens the procedure, which is on record; no list says anything of a child."""
    document["body"]["child"]["birth"] = {"value": {"date": "2009-02-01", "estimated": False}}
    accepted = (await desk.submit(document)).json
    opened = await desk.ask("GET", f"{PROCEDURES}/{accepted['procedure']}", token=desk.token())
    assert (opened.json["coming_of_age"]["on"], opened.json["coming_of_age"]["reached"]) == ("2027-02-01", False)
    assert opened.json["coming_of_age"]["meaning"].endswith(".")
    for path in (PROCEDURES, f"{PROCEDURES}/{accepted['procedure']}/timeline", "/api/v1/messages"):
        assert "2027-02-01" not in (await desk.ask("GET", path, token=desk.token())).text
