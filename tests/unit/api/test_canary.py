# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Promise P5 at the HTTP edge: a name put everywhere is found in no log, no metric, no URL and no error text."""

from __future__ import annotations

import copy
import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

CANARY = "Zzmaarika"
MESSAGES = "/api/v1/messages"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document that holds a text."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from places(item, (*path, position))
    elif isinstance(value, str):
        yield path


def planted(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """The document with the canary at that place."""
    changed = copy.deepcopy(document)
    target: Any = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = f"{CANARY} Näidis"
    return changed


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document that holds an object."""
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from objects(item, (*path, name))


async def clean(desk: Any, log_text: io.StringIO, caplog: pytest.LogCaptureFixture, names: SimpleNamespace) -> None:
    """Neither logs nor metrics nor the audit trail hold the canary."""
    scrape = await desk.ask("GET", "/api/v1/metrics", token=desk.token(role="admin", authority=names.node))
    trail = await desk.ask("GET", "/api/v1/audit", token=desk.token(role="auditor", authority=names.node))
    assert scrape.status == trail.status == 200
    for text in (log_text.getvalue(), scrape.text, trail.text, caplog.text):
        assert CANARY.lower() not in text.lower()
    assert "http.request" in log_text.getvalue()


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """All loggers at their loudest."""
    caplog.set_level(logging.DEBUG)
    return None


@pytest.mark.usefixtures("everything_logged")
async def test_name_in_every_field(
    desk: Any, document: dict[str, Any], log_text: io.StringIO, caplog: pytest.LogCaptureFixture, names: SimpleNamespace
) -> None:
    """The canary in any text of a submission is at most content: accepted or refused, no answer repeats it."""
    accepted = 0
    for number, path in enumerate(places(document)):
        reply = await desk.submit(planted(document, path), key=f"key-{number}")
        accepted += reply.status == 202
        assert CANARY.lower() not in (reply.text + str(reply.headers)).lower(), path
        desk.clock.advance(1)

    assert accepted > 5
    listed = await desk.ask("GET", MESSAGES, token=desk.token())
    assert CANARY not in listed.text
    await clean(desk, log_text, caplog, names)


@pytest.mark.usefixtures("everything_logged")
async def test_name_as_a_member_name(
    desk: Any, document: dict[str, Any], log_text: io.StringIO, caplog: pytest.LogCaptureFixture, names: SimpleNamespace
) -> None:
    """A name in the place of a member name is refused and not repeated."""
    for path in objects(document):
        for name, value in ((CANARY.lower(), 1.5), (CANARY, "x"), (f"{CANARY} Näidis", {})):
            changed = copy.deepcopy(document)
            target: Any = changed
            for step in path:
                target = target[step]
            target[name] = value
            reply = await desk.submit(changed)
            assert reply.status == 422, path
            assert CANARY.lower() not in (reply.text + str(reply.headers)).lower(), path

    await clean(desk, log_text, caplog, names)


@pytest.mark.usefixtures("everything_logged")
async def test_name_in_headers_queries_and_bodies(
    desk: Any, log_text: io.StringIO, caplog: pytest.LogCaptureFixture, names: SimpleNamespace
) -> None:
    """A name in a path, query, header, token or malformed body is repeated nowhere."""
    token, json_type = desk.token(), {"Content-Type": "application/json"}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/{CANARY}", {"token": token}),
        ("GET", f"{MESSAGES}/{CANARY}", {"token": token}),
        ("GET", f"/api/v1/procedures/{CANARY}/timeline", {"token": token}),
        ("GET", f"{MESSAGES}?{CANARY}=1", {"token": token}),
        ("GET", f"{MESSAGES}?peer={CANARY}&cursor={CANARY}", {"token": token}),
        ("GET", f"{MESSAGES}?cursor={CANARY}", {"token": token}),
        ("GET", MESSAGES, {"headers": {"Authorization": CANARY}}),
        ("GET", MESSAGES, {"headers": {"Authorization": f"Bearer {CANARY}.{CANARY}.{CANARY}"}}),
        ("GET", MESSAGES, {"token": token, "headers": {"X-Child": CANARY, "User-Agent": CANARY, "Referer": CANARY}}),
        ("GET", MESSAGES, {"token": desk.token(subject=CANARY)}),
        ("POST", MESSAGES, {"token": token, "data": CANARY, "headers": {**json_type, "Idempotency-Key": "a"}}),
        ("POST", MESSAGES, {"token": token, "data": b"{}", "headers": {"Content-Type": f"text/{CANARY}"}}),
        ("POST", MESSAGES, {"token": token, "data": b"{}", "headers": {**json_type, "Idempotency-Key": f"{CANARY} b"}}),
        ("POST", MESSAGES, {"token": token, "json": {CANARY: CANARY}, "headers": {"Idempotency-Key": CANARY}}),
        ("POST", f"{MESSAGES}/{CANARY}/opened", {"token": token, "data": CANARY}),
        ("POST", f"/api/v1/attention/{CANARY}/resolve", {"token": token}),
    ]
    for method, path, more in asked:
        reply = await desk.ask(method, path, **more)
        assert CANARY.lower() not in (reply.text + str(reply.headers)).lower(), path

    await clean(desk, log_text, caplog, names)
