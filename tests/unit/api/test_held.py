# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Held messages over HTTP."""

from __future__ import annotations

import copy
import json
from typing import Any

from broker.schema_files import read_schema_file

HELD = "/api/v1/held"


async def _held(desk: Any, document: dict[str, Any], key: str = "key-1") -> str:
    unwilling = copy.deepcopy(document)
    unwilling["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    reply = await desk.submit(unwilling, key=key)
    assert (reply.status, reply.json["code"]) == (422, "safeguard-held")
    listed = (await desk.ask("GET", HELD, token=desk.token())).json["items"]
    found: str = listed[-1]["id"]
    assert found in reply.json["detail"]
    return found


async def test_a_second_officer_reads_and_releases(desk: Any, document: dict[str, Any]) -> None:
    """The list tells why and not what; the content is read alone; its author is refused, another officer is not."""
    held = await _held(desk, document)
    (item,) = (await desk.ask("GET", HELD, token=desk.token())).json["items"]
    assert (item["state"], item["author"], item["reasons"][0]["rule"]) == ("held", "officer-17", "R-05")
    assert "content" not in item
    read = await desk.ask("GET", f"{HELD}/{held}", token=desk.token(subject="officer-2"))
    assert read.json["content"]["body"]["child_wish"]["heard"]["wants_tracing"] == "NO"

    decide = {"path": f"{HELD}/{held}/release", "json": {"reason": "checked"}}
    refused = await desk.ask("POST", decide["path"], token=desk.token(), json=decide["json"])
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    released = await desk.ask("POST", decide["path"], token=desk.token(subject="officer-2"), json=decide["json"])
    assert (released.status, released.json["message"]) == (202, held)
    again = await desk.ask("POST", decide["path"], token=desk.token(subject="officer-2"), json=decide["json"])
    assert (again.status, again.json["code"]) == (409, "already-settled")
    after = (await desk.ask("GET", f"{HELD}/{held}", token=desk.token())).json
    assert (after["state"], after["decided_by"], after["decision"]) == ("released", "officer-2", "checked")
    assert "content" not in after


async def test_one_is_rejected_and_only_by_its_own_office(desk: Any, document: dict[str, Any]) -> None:
    """Another office sees nothing; a reason that is in no list is refused; rejected it is gone from the list."""
    held = await _held(desk, document)
    other = desk.token(authority="ministry-of-justice", subject="officer-3")
    for method, path in (("GET", held), ("POST", f"{held}/release"), ("POST", f"{held}/reject")):
        more = {} if method == "GET" else {"json": {"reason": "checked" if "release" in path else "not-safe"}}
        assert (await desk.ask(method, f"{HELD}/{path}", token=other, **more)).status == 404
    for path, reason in (("release", "because"), ("reject", "checked")):
        bad = await desk.ask("POST", f"{HELD}/{held}/{path}", token=desk.token(subject="x"), json={"reason": reason})
        assert (bad.status, bad.json.get("where", "/reason")) == (400, "/reason")
    done = await desk.ask("POST", f"{HELD}/{held}/reject", token=desk.token(), json={"reason": "not-complete"})
    assert done.status == 204
    assert (await desk.ask("GET", HELD, token=desk.token())).json["items"] == []


async def test_a_release_names_the_newer_messages_that_were_seen(desk: Any, document: dict[str, Any]) -> None:
    """They are listed where the held message is read, with ids, types and times; without them it is refused, and waits on."""
    request = (await desk.submit(document, key="first")).json
    second = desk.token(subject="officer-2")
    correction = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    correction |= {name: document[name] for name in ("sender", "recipient", "exercise")}
    correction["procedure"] = request["procedure"]
    ids = []
    for key, pointer, now in (("held", "/child", "Test-Mari"), ("newer", "/approach", "OPEN")):
        correction["body"] |= {"target": request["digest"], "fields": [{"pointer": pointer, "now": {"value": now}}]}
        reply = await desk.submit(correction, key=key)
        ids.append(reply.json.get("message"))
    (item,) = (await desk.ask("GET", HELD, token=second)).json["items"]
    read = (await desk.ask("GET", f"{HELD}/{item['id']}", token=second)).json
    (newer,) = read["since"]
    assert (newer["id"], newer["type"], newer["direction"]) == (ids[1], "family-tracing.correction", "out")
    assert newer.keys() == {"id", "direction", "type", "procedure", "at", "state"}

    release = f"{HELD}/{item['id']}/release"
    for seen, status, code in (
        ({}, 409, "newer-messages"),
        ({"seen": []}, 409, "newer-messages"),
        ({"seen": ids[1]}, 400, "bad-request"),
        ({"seen": ["x"]}, 400, "bad-request"),
        ({"seen": [7]}, 400, "bad-request"),
    ):
        refused = await desk.ask("POST", release, token=second, json={"reason": "checked", **seen})
        assert (refused.status, refused.json["code"], refused.json["where"]) == (status, code, "/seen")
        assert (ids[1] in refused.json["detail"]) == (status == 409)
    released = await desk.ask("POST", release, token=second, json={"reason": "checked", "seen": [ids[1]]})
    assert (released.status, released.json["message"]) == (202, item["id"])
    assert "since" not in (await desk.ask("GET", f"{HELD}/{item['id']}", token=second)).json


async def test_what_waits_is_listed_page_by_page(desk: Any, document: dict[str, Any]) -> None:
    """Oldest first, without gap or repetition."""
    made = [await _held(desk, document, key) for key in ("a", "b", "c")]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await desk.ask("GET", f"{HELD}?limit=2{cursor}", token=desk.token())).json
        seen += [item["id"] for item in page["items"]]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == sorted(set(made))
