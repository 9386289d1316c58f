# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Submit, list, read and open messages over HTTP."""

from __future__ import annotations

import asyncio
import copy
import gzip
import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from broker.core.errors import StoreUnavailable

MESSAGES = "/api/v1/messages"
JSON = {"Content-Type": "application/json", "Idempotency-Key": "key-1"}


async def everything(desk: Any) -> tuple[int, int]:
    """How many messages, and audit rows but those of looking, are stored."""
    page = await desk.store.read(lambda reader: reader.audit(cursor=None, limit=100))
    found = await desk.ask("GET", MESSAGES, token=desk.token())
    return len(found.json["items"]), sum(row.action not in {"read", "listed"} for row in page.items)


async def test_submission_is_accepted_with_its_place(desk: Any, document: dict[str, Any]) -> None:
    """A submission that fits is stored, answered with 202, and can be read where Location says."""
    reply = await desk.submit(document)

    assert reply.status == 202, reply.text
    assert reply.json["repeated"] is False
    assert reply.headers["Location"] == f"{MESSAGES}/{reply.json['message']}"
    read = await desk.ask("GET", reply.headers["Location"], token=desk.token())
    assert read.status == 200
    assert read.json["content"]["body"] == document["body"]
    assert read.json["content"]["header"]["sender"] == {"country": "EE", "authority": "social-insurance-board"}
    assert read.json["digest"] == reply.json["digest"]
    assert (read.json["direction"], read.json["state"], read.json["evidence"]) == ("out", "recorded", [])


async def test_same_key_gives_the_same_answer(desk: Any, document: dict[str, Any]) -> None:
    """The same key with the same body names the stored message and stores nothing."""
    first = await desk.submit(document)
    before = await everything(desk)
    second = await desk.submit(document)

    assert second.status == 202
    assert second.json == {**first.json, "repeated": True}
    assert await everything(desk) == before


async def test_accepted_message_is_logged_and_counted_once(
    desk: Any, document: dict[str, Any], log_text: io.StringIO
) -> None:
    """An accepted message is one log line of identifiers and one count; its repetition is neither."""
    accepted = (await desk.submit(document)).json
    await desk.submit(document)

    lines = [json.loads(line) for line in log_text.getvalue().splitlines() if "message.submitted" in line]
    assert [(line["message"], line["procedure"], line["peer"]) for line in lines] == [
        (accepted["message"], accepted["procedure"], "FI")
    ]
    counted = desk.services.metrics.exposition({}).decode()
    assert 'trm_submitted_total{peer="FI",type="family-tracing.request"} 1.0' in counted


async def test_same_key_with_another_body_is_a_conflict(
    desk: Any, document: dict[str, Any], assert_problem: Callable[..., Any]
) -> None:
    """A key stands for one body; another one under it is refused."""
    await desk.submit(document)
    before = await everything(desk)
    reply = await desk.submit({**document, "urgency": "URGENT"})

    assert_problem(reply, 409, "idempotency-conflict")
    assert await everything(desk) == before


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    """Remove a member."""
    return lambda document: {key: value for key, value in document.items() if key != name}


def put(value: Any, *path: Any) -> Callable[[dict[str, Any]], Any]:
    """Set the member at that path."""

    def change(document: dict[str, Any]) -> Any:
        target: Any = document
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value
        return document

    return change


REFUSED = {
    "it is not an object": (lambda document: [document], 400, "bad-request", "/"),
    "a member is missing": (without("purpose"), 422, "schema-invalid", "/purpose"),
    "the recipient is no country": (put("Finland", "recipient", "country"), 422, "schema-invalid", "/recipient/country"),
    "another authority's name is on it": (
        put("ministry-of-justice", "sender", "authority"), 403, "forbidden", "/sender/authority",
    ),
    "the country is no member": (put("NO", "recipient", "country"), 422, "unknown-recipient", "/recipient/country"),
    "the office is unknown": (put("nobody", "recipient", "authority"), 422, "unknown-recipient", "/recipient/authority"),
    "the type is unknown": (put("family-tracing.party", "type"), 422, "unknown-type", "/type"),
    "the version is unknown": (put("9.9", "version"), 422, "version-not-supported", "/version"),
    "the procedure is unknown": (
        put("0199d3c0-0000-7000-8000-000000000001", "procedure"), 404, "not-found", "/procedure",
    ),
    "the body is another type's": (put("best-interests.request", "type"), 422, "schema-invalid", "/body"),
    "a body member is missing": (
        lambda document: {**document, "body": without("child")(document["body"])}, 422, "schema-invalid", "/body/child",
    ),
    "a code is none": (put("MAYBE", "body", "approach"), 422, "schema-invalid", "/body/approach"),
    "the legal basis does not carry it": (
        put("B2B_79_A", "legal_basis", "code"), 422, "basis-not-allowed", "/legal_basis/code",
    ),
    "a number is a fraction": (put(1.5, "body", "approach"), 422, "schema-invalid", "/body"),
    "a number is huge": (put(2**60, "body", "approach"), 422, "schema-invalid", "/body"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_refusal_names_place_and_reason(
    desk: Any, document: dict[str, Any], assert_problem: Callable[..., Any], case: str
) -> None:
    """What does not fit is refused with its code and its place in the caller's document; nothing is stored."""
    change, status, code, where = REFUSED[case]
    reply = await desk.submit(change(copy.deepcopy(document)))

    assert_problem(reply, status, code, where=where)
    assert await everything(desk) == (0, 0)


async def test_schema_refusal_lists_everything_wrong(
    desk: Any, document: dict[str, Any], assert_problem: Callable[..., Any]
) -> None:
    """All faults of a body come in one answer, each with pointer and reason."""
    del document["body"]["child"]
    document["body"]["approach"] = "MAYBE"
    problem = assert_problem(await desk.submit(document), 422, "schema-invalid", where="/body/approach")

    assert {fault["pointer"] for fault in problem["errors"]} == {"/body/approach", "/body/child"}


async def test_unknown_member_names_are_not_repeated(
    desk: Any, document: dict[str, Any], assert_problem: Callable[..., Any]
) -> None:
    """A member name that is not ours is somebody's text: no pointer shows it."""
    document["body"]["child"]["maarika"] = {"naidis": 1.5}
    reply = await desk.submit(document)

    assert reply.status == 422
    assert "maarika" not in reply.text
    assert "naidis" not in reply.text


async def test_act_that_the_state_does_not_allow(
    desk: Any, document: dict[str, Any], assert_problem: Callable[..., Any]
) -> None:
    """A valid message whose act the procedure does not allow, or that opens none, is refused and stored nowhere."""
    withdrawal = document | {"type": "family-tracing.withdrawal", "body": {"reason": "NOT_STATED"}}

    assert_problem(await desk.submit(withdrawal), 409, "not-allowed", where="/procedure")
    assert await everything(desk) == (0, 0)
    opened = (await desk.submit(document, key="opened")).json
    withdrawal["procedure"] = opened["procedure"]
    assert (await desk.submit(withdrawal, key="withdrawn")).status == 202
    stored = await everything(desk)
    assert_problem(await desk.submit(withdrawal, key="again"), 409, "not-allowed", where="/type")
    assert await everything(desk) == stored


BODIES = {
    "not JSON": (b"{", JSON, 400, "bad-request"),
    "empty": (b"", JSON, 400, "bad-request"),
    "not UTF-8": (b'{"type": "\xff"}', JSON, 400, "bad-request"),
    "too deep": (b'{"body":' + b"[" * 500 + b"]" * 500 + b"}", JSON, 400, "bad-request"),
    "far too deep": (b"[" * 30_000, JSON, 400, "bad-request"),
    "too large": (b'"' + b"a" * 70_000 + b'"', JSON, 413, "request-too-large"),
    "another media type": (b"<a/>", {**JSON, "Content-Type": "application/xml"}, 415, "unsupported-media-type"),
    "no media type": (b"{}", {"Idempotency-Key": "k"}, 415, "unsupported-media-type"),
    "another charset": (b"{}", {**JSON, "Content-Type": "application/json; charset=utf-16"}, 415, "unsupported-media-type"),
    "compressed": (gzip.compress(b"{}"), {**JSON, "Content-Encoding": "gzip"}, 415, "unsupported-media-type"),
    "no key": (b"{}", {"Content-Type": "application/json"}, 400, "bad-request"),
    "a key with spaces": (b"{}", {**JSON, "Idempotency-Key": "a b"}, 400, "bad-request"),
    "a long key": (b"{}", {**JSON, "Idempotency-Key": "a" * 129}, 400, "bad-request"),
}  # fmt: skip


@pytest.mark.parametrize("case", BODIES)
async def test_bad_request_is_a_problem_document(desk: Any, assert_problem: Callable[..., Any], case: str) -> None:
    """A malformed body or header is refused before anything is done with it."""
    body, headers, status, code = BODIES[case]
    reply = await desk.ask(
        "POST", MESSAGES, token=desk.token(), headers=headers, data=body, skip_auto_headers=["Content-Type"]
    )

    where = "header Idempotency-Key" if "key" in case else None
    assert_problem(reply, status, code, where=where)
    assert await everything(desk) == (0, 0)


async def test_size_is_bounded_without_a_stated_length(desk: Any, assert_problem: Callable[..., Any]) -> None:
    """A chunked body without a length is cut off at the limit."""

    async def chunks() -> Any:
        for _ in range(20):
            yield b"a" * 8192

    reply = await desk.ask("POST", MESSAGES, token=desk.token(), headers=JSON, data=chunks())

    assert_problem(reply, 413, "request-too-large")
    assert f"{desk.services.limits.body_bytes} bytes" in reply.json["detail"]


async def test_lists_are_pages(desk: Any, document: dict[str, Any]) -> None:
    """A cursor continues where the page ended; the pages together hold each message once."""
    wanted = set()
    for number in range(5):
        wanted.add((await desk.submit(document, key=f"key-{number}")).json["message"])
        desk.clock.advance(1)
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await desk.ask("GET", f"{MESSAGES}?limit=2{cursor}", token=desk.token())).json
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}" if "next" in page else ""

    assert cursor == ""
    assert len(seen) == 5
    assert set(seen) == wanted


async def test_list_shows_nothing_of_a_body(desk: Any, document: dict[str, Any]) -> None:
    """A list holds identifiers and codes, neither content nor purpose."""
    await desk.submit(document)
    reply = await desk.ask("GET", MESSAGES, token=desk.token())

    (item,) = reply.json["items"]
    assert item["type"] == "family-tracing.request"
    assert "Maarika" not in reply.text
    assert "content" not in item


FILTERS = {
    "direction=in": ["in"],
    "direction=out": ["out"],
    "peer=FI": ["in", "out"],
    "peer=SE": [],
    "type=family-tracing.request": ["in", "out"],
    "type=family-tracing.result": [],
    "state=recorded": ["in", "out"],
    "state=opened": [],
    "procedure=0199d3c0-0000-7000-8000-000000000001": [],
}


@pytest.mark.parametrize("query", FILTERS)
async def test_list_is_filtered(desk: Any, document: dict[str, Any], receive: Callable[..., Any], query: str) -> None:
    """Each filter leaves what it names."""
    await desk.submit(document)
    await receive()
    reply = await desk.ask("GET", f"{MESSAGES}?{query}", token=desk.token())

    assert reply.status == 200, reply.text
    assert sorted(item["direction"] for item in reply.json["items"]) == FILTERS[query]


QUERIES = {
    "limit=0": "query limit",
    "limit=201": "query limit",
    "limit=-1": "query limit",
    "limit=1e3": "query limit",
    "limit=٣": "query limit",
    "direction=sideways": "query direction",
    "peer=EL": "query peer",
    "peer=fi": "query peer",
    "type=x": "query type",
    "state=done": "query state",
    "procedure=1": "query procedure",
    "cursor=": "query cursor",
    "cursor=%00": "query cursor",
    "limit=1&limit=2": "query",
    "child=Maarika": "query",
}


@pytest.mark.parametrize("query", QUERIES)
async def test_bad_parameter_is_named(desk: Any, assert_problem: Callable[..., Any], query: str) -> None:
    """A parameter that is unknown, twice, or not of its form is refused; an unknown name is not repeated."""
    reply = await desk.ask("GET", f"{MESSAGES}?{query}", token=desk.token())

    assert_problem(reply, 400, "bad-request", where=QUERIES[query])
    assert "Maarika" not in reply.text


@pytest.mark.parametrize("cursor", ["AAAA", "W10", "WzEsMl0", "bm9uZQ"])
async def test_forged_cursor_is_refused(desk: Any, assert_problem: Callable[..., Any], cursor: str) -> None:
    """A cursor that this node did not give out is refused as such."""
    reply = await desk.ask("GET", f"{MESSAGES}?cursor={cursor}", token=desk.token())

    assert_problem(reply, 400, "bad-cursor")


@pytest.mark.parametrize("path", ["0199d3c0-0000-7000-8000-000000000001", "1", "Maarika", "%00", "..%2f"])
async def test_message_that_is_not_here(desk: Any, assert_problem: Callable[..., Any], path: str) -> None:
    """An unknown or impossible identifier does not exist."""
    from yarl import URL

    url = URL(f"{desk.url}{MESSAGES}/{path}", encoded=True)
    async with desk.session.get(url, headers={"Authorization": f"Bearer {desk.token()}"}) as response:
        text = await response.text()

    assert response.status == 404
    assert json.loads(text)["code"] == "not-found"
    assert "Maarika" not in text


async def test_other_authority_sees_nothing(
    desk: Any, document: dict[str, Any], receive: Callable[..., Any], assert_problem: Callable[..., Any],
    names: SimpleNamespace,
) -> None:  # fmt: skip
    """A message of another authority is answered like one that does not exist, and cannot be opened."""
    sent = (await desk.submit(document)).json["message"]
    got = await receive()
    stranger = desk.token(authority=names.other)

    assert (await desk.ask("GET", MESSAGES, token=stranger)).json == {"items": []}
    for message in (sent, got):
        assert_problem(await desk.ask("GET", f"{MESSAGES}/{message}", token=stranger), 404, "not-found")
        assert_problem(await desk.ask("POST", f"{MESSAGES}/{message}/opened", token=stranger), 404, "not-found")
    read = await desk.ask("GET", f"{MESSAGES}/{got}", token=desk.token())
    assert read.json["state"] == "recorded"


async def test_an_id_that_two_countries_use_is_read_by_its_peer(
    desk: Any, receive: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    """The id alone is refused with both countries named; with a peer it is read and opened, and only that one."""
    message = await receive()
    await receive(sender="SE", known=message)
    path, token = f"{MESSAGES}/{message}", desk.token()

    problem = assert_problem(await desk.ask("GET", path, token=token), 409, "ambiguous-message")
    assert "FI" in problem["detail"]
    assert "SE" in problem["detail"]
    assert_problem(await desk.ask("POST", f"{path}/opened", token=token), 409, "ambiguous-message")
    assert (await desk.ask("POST", f"{path}/opened?peer=SE", token=token)).status == 200
    states = {peer: (await desk.ask("GET", f"{path}?peer={peer}", token=token)).json for peer in ("FI", "SE")}
    assert {peer: (read["peer"], read["state"]) for peer, read in states.items()} == {
        "FI": ("FI", "recorded"), "SE": ("SE", "opened"),
    }  # fmt: skip
    assert_problem(await desk.ask("GET", f"{path}?peer=FI&direction=out", token=token), 404, "not-found")
    assert_problem(await desk.ask("GET", f"{path}?peer=1", token=token), 400, "bad-request", where="query peer")


async def test_opening_is_stated_once(desk: Any, receive: Callable[..., Any]) -> None:
    """Marking a received message opened gives the first time again, and the evidence says so."""
    message = await receive()
    first = await desk.ask("POST", f"{MESSAGES}/{message}/opened", token=desk.token())
    desk.clock.advance(60)
    second = await desk.ask("POST", f"{MESSAGES}/{message}/opened", token=desk.token(role="system"))
    read = await desk.ask("GET", f"{MESSAGES}/{message}", token=desk.token())

    assert first.status == 200
    assert second.json == first.json == {"message": message, "opened": "2026-11-22T03:00:00.000Z"}
    assert [(item["issuer"], item["kind"]) for item in read.json["evidence"]] == [("EE", "opened")]
    trail = await desk.store.read(lambda reader: reader.audit(cursor=None, limit=10))
    assert [row.actor for row in trail.items if row.action == "opened"] == ["officer-17"]


async def test_own_message_cannot_be_opened(
    desk: Any, document: dict[str, Any], assert_problem: Callable[..., Any]
) -> None:
    """Only the receiving side states that a person saw a message."""
    message = (await desk.submit(document)).json["message"]

    assert_problem(await desk.ask("POST", f"{MESSAGES}/{message}/opened", token=desk.token()), 404, "not-found")


async def test_a_person_sends_a_message_again(
    desk: Any, document: dict[str, Any], receive: Callable[..., Any], names: Any, assert_problem: Callable[..., Any]
) -> None:
    """With a reason of the list it is owed again; a bad reason, a received or another office's message changes nothing."""
    message, got = (await desk.submit(document)).json["message"], await receive()
    path, token, admin = f"{MESSAGES}/{message}/resend", desk.token(), desk.token(role="admin", authority=names.node)

    async def again(path: str, token: str, body: Any) -> Any:
        return await desk.ask("POST", path, token=token, json=body)

    for body in ({"reason": "because"}, {"reason": ["no-answer"]}, {"reason": "sign-of-loss"}, {}, ["no-answer"], 17):
        assert_problem(await again(path, token, body), 400, "bad-request", where="/reason")
    reason = {"reason": "no-answer"}
    assert_problem(await again(f"{MESSAGES}/{got}/resend", token, reason), 404, "not-found")
    assert_problem(await again(path, desk.token(authority=names.other), reason), 404, "not-found")
    desk.clock.advance(60)
    for asking in (token, admin):
        reply = await again(path, asking, reason)
        assert (reply.status, reply.json) == (202, {"message": message, "at": "2026-11-22T03:01:00.000Z"})

    trail = await desk.store.read(lambda reader: reader.audit(cursor=None, limit=10))
    assert [(row.role, row.reason) for row in trail.items if row.action == "resent"] == [
        ("admin", "no-answer"),
        ("officer", "no-answer"),
    ]


async def test_slow_body_is_given_up(
    open_desk: Callable[..., Any], services: Any, assert_problem: Callable[..., Any]
) -> None:
    """A caller that does not finish its body in time is answered and let go."""
    from dataclasses import replace

    desk = await open_desk(limits=replace(services.limits, body_seconds=0.05))
    hold = asyncio.Event()

    async def endless() -> Any:
        yield b"{"
        await hold.wait()
        yield b"}"

    reply = await desk.ask("POST", MESSAGES, token=desk.token(), headers=JSON, data=endless())
    hold.set()

    assert_problem(reply, 400, "bad-request")


async def test_who_reads_is_on_record(desk: Any, document: dict[str, Any], names: SimpleNamespace) -> None:
    """The list and the message each leave an entry with subject, role, office, procedure and country."""
    accepted = (await desk.submit(document)).json
    message, procedure, token = accepted["message"], accepted["procedure"], desk.token()
    await desk.ask("GET", MESSAGES, token=token)
    await desk.ask("GET", f"{MESSAGES}/{message}", token=token)
    for path in ("", "/actions", "/timeline"):
        assert (await desk.ask("GET", f"/api/v1/procedures/{procedure}{path}", token=token)).status == 200
    page = await desk.store.read(lambda reader: reader.audit(cursor=None, limit=10))
    looks = [(row.action, row.subject, row.role, row.peer) for row in reversed(page.items)][1:]
    assert looks == [
        ("listed", "messages", "officer", None),
        ("read", message, "officer", "FI"),
        ("read", procedure, "officer", "FI"),
    ]
    assert {row.authority for row in page.items} == {names.ours}


async def test_what_cannot_be_recorded_is_not_read(
    desk: Any, document: dict[str, Any], assert_problem: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the trail cannot be written nobody is shown a message, a list or a procedure."""
    accepted = (await desk.submit(document)).json

    async def full(_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(desk.store, "run", full)
    paths = (MESSAGES, f"{MESSAGES}/{accepted['message']}", "/api/v1/procedures")
    for path in (*paths, f"/api/v1/procedures/{accepted['procedure']}"):
        reply = await desk.ask("GET", path, token=desk.token())
        assert_problem(reply, 503, "store-unavailable")
        assert "items" not in reply.json
        assert "header" not in reply.json
