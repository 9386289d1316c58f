# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who may ask what, and what every answer carries."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from broker.api.routes import PREFIX, ROUTES, Route
from broker.api.tokens import NODE_ROLES, Role
from broker.core.errors import StoreUnavailable

UNKNOWN = "0199d3c0-0000-7000-8000-000000000001"

# What each role gets where nothing is stored: allowed reads 200, allowed acts on nothing 404, else 403.
EXPECTED = {
    "submitMessage": {"officer": 400, "system": 400, "auditor": 403, "admin": 403},
    "listMessages": {"officer": 200, "system": 200, "auditor": 403, "admin": 403},
    "readMessage": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "markOpened": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "resendMessage": {"officer": 415, "system": 403, "auditor": 403, "admin": 415},
    "listHeld": {"officer": 200, "system": 403, "auditor": 403, "admin": 403},
    "readHeld": {"officer": 404, "system": 403, "auditor": 403, "admin": 403},
    "releaseHeld": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "rejectHeld": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "readAttachment": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "beginUpload": {"officer": 400, "system": 400, "auditor": 403, "admin": 403},
    "findUpload": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "showUpload": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "appendUpload": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "listProcedures": {"officer": 200, "system": 200, "auditor": 403, "admin": 403},
    "readProcedure": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "listActions": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "readTimeline": {"officer": 404, "system": 404, "auditor": 403, "admin": 403},
    "searchCases": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "listRetention": {"officer": 200, "system": 403, "auditor": 403, "admin": 403},
    "holdCase": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "reviewCase": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "proposeErasure": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "listErasures": {"officer": 200, "system": 403, "auditor": 403, "admin": 403},
    "confirmErasure": {"officer": 404, "system": 403, "auditor": 403, "admin": 403},
    "rejectErasure": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "passOn": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "reportCorrection": {"officer": 415, "system": 403, "auditor": 403, "admin": 403},
    "listAttention": {"officer": 200, "system": 200, "auditor": 200, "admin": 200},
    "resolveAttention": {"officer": 404, "system": 403, "auditor": 403, "admin": 404},
    "listMembers": {"officer": 200, "system": 200, "auditor": 200, "admin": 200},
    "listAudit": {"officer": 403, "system": 403, "auditor": 200, "admin": 403},
    "readHealth": {"officer": 200, "system": 200, "auditor": 200, "admin": 200},
    "readMetrics": {"officer": 403, "system": 200, "auditor": 403, "admin": 200},
    "readDescription": {"officer": 200, "system": 200, "auditor": 200, "admin": 200},
}
OPEN = {"readHealth", "readDescription"}


def path(route: Route) -> str:
    """The endpoint with an identifier of something that is not here."""
    return PREFIX + route.path.replace("{digest}", "0" * 64).replace(
        "{id}", "1" if "attention" in route.path else UNKNOWN
    )


def test_table_names_every_endpoint_and_role() -> None:
    """No endpoint is forgotten in the table above."""
    assert {route.name for route in ROUTES} == EXPECTED.keys()
    assert all(row.keys() == {role.value for role in Role} for row in EXPECTED.values())


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_each_role_gets_what_the_table_says(
    desk: Any, assert_problem: Callable[..., Any], names: SimpleNamespace, route: Route
) -> None:
    """Every role at every endpoint, and nobody without a token where one is needed."""
    found = {}
    for role in Role:
        token = desk.token(role=role, authority=names.node) if role in NODE_ROLES else desk.token(role=role)
        found[role.value] = (await desk.ask(route.method, path(route), token=token)).status
    stranger = await desk.ask(route.method, path(route))

    assert found == EXPECTED[route.name]
    if route.name in OPEN:
        assert stranger.status == 200
    else:
        assert stranger.status == 401
        if route.method != "HEAD":  # whose answers have no body
            assert_problem(stranger, 401, "unauthenticated")
        assert stranger.headers["WWW-Authenticate"] == 'Bearer realm="trm"'


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_who_speaks_for_no_office_reads_metrics_alone(desk: Any, names: SimpleNamespace, route: Route) -> None:
    """A system of the authority `node`, which watches the node, gets no casework and no list; an officer of it nothing."""
    found = {}
    for role in (Role.SYSTEM, Role.OFFICER):
        token = desk.token(role=role, authority=names.node)
        found[role.value] = (await desk.ask(route.method, path(route), token=token)).status

    if route.name in OPEN:
        assert found == {"system": 200, "officer": 200}
    else:
        assert found == {"system": 200 if route.name == "readMetrics" else 403, "officer": 403}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dTpw", "bearer x", "Bearer a.b.c", "Token a.b.c"])
@pytest.mark.parametrize("route", ["/messages", "/health"])
async def test_bad_authorization_is_refused_everywhere(
    desk: Any, assert_problem: Callable[..., Any], header: str, route: str
) -> None:
    """A header that proves nothing is refused, also where none would be needed."""
    reply = await desk.ask("GET", PREFIX + route, headers={"Authorization": header})

    assert_problem(reply, 401, "unauthenticated")


async def test_a_good_token_under_another_scheme_is_none(desk: Any) -> None:
    """The scheme is Bearer; a proxy's own sign-in must not pass a token on as if it were ours."""
    for scheme, status in (("Bearer", 200), ("bearer", 200), ("Basic", 401), ("Token", 401)):
        reply = await desk.ask("GET", f"{PREFIX}/messages", headers={"Authorization": f"{scheme} {desk.token()}"})
        assert reply.status == status


async def test_two_authorizations_are_none(desk: Any) -> None:
    """Which of two tokens counts is never guessed."""
    headers = [("Authorization", f"Bearer {desk.token()}")] * 2
    async with desk.session.get(f"{desk.url}{PREFIX}/messages", headers=headers) as response:
        assert response.status == 401


async def test_token_in_the_query_is_not_looked_at(desk: Any, assert_problem: Callable[..., Any]) -> None:
    """A token in an address ends up in histories and logs of proxies; it opens nothing."""
    reply = await desk.ask("GET", f"{PREFIX}/messages?access_token={desk.token()}")

    assert_problem(reply, 401, "unauthenticated")


async def test_expired_token_is_refused_with_the_reason(desk: Any, assert_problem: Callable[..., Any]) -> None:
    """A caller learns that its token has expired, so that it gets a new one."""
    token = desk.token()
    desk.clock.advance(7200)
    problem = assert_problem(await desk.ask("GET", f"{PREFIX}/messages", token=token), 401, "unauthenticated")

    assert "expired" in problem["detail"]
    assert token.split(".")[1] not in json.dumps(problem)


@pytest.mark.parametrize(
    ("method", "where", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/api/v1", 404, "not-found"),
        ("GET", "/api/v1/messages/", 404, "not-found"),
        ("GET", "/api/v2/messages", 404, "not-found"),
        ("DELETE", "/api/v1/messages", 405, "method-not-allowed"),
        ("OPTIONS", "/api/v1/messages", 405, "method-not-allowed"),
        ("POST", "/api/v1/audit", 405, "method-not-allowed"),
    ],
)
async def test_routing_errors_are_problem_documents(
    desk: Any, assert_problem: Callable[..., Any], method: str, where: str, status: int, code: str
) -> None:
    """What the router refuses is a problem document like everything else."""
    reply = await desk.ask(method, where, token=desk.token())

    assert_problem(reply, status, code)
    assert ("Allow" in reply.headers) == (status == 405)


async def test_unforeseen_error_gives_a_reference_only(
    open_desk: Callable[..., Any], assert_problem: Callable[..., Any], log_text: io.StringIO
) -> None:
    """A fault of ours tells the caller a number; the log has the number, class and place, and neither has the text."""

    class Broken:
        async def procedure(self, *_: object, **__: object) -> None:
            raise ValueError("Test-Maarika Näidis")

    desk = await open_desk(inspect=Broken())
    reply = await desk.ask("GET", f"{PREFIX}/procedures/{UNKNOWN}", token=desk.token())

    problem = assert_problem(reply, 500, "internal")
    (line,) = [json.loads(text) for text in log_text.getvalue().splitlines() if problem["reference"] in text]
    assert (line["event"], line["class"]) == ("http.failed", "ValueError")
    assert line["place"].startswith("test_gate.py:")
    assert "Maarika" not in reply.text + log_text.getvalue()


async def test_node_error_asks_to_come_again(open_desk: Callable[..., Any], assert_problem: Callable[..., Any]) -> None:
    """When the store is away the caller is told to come again, and who must act."""

    class Away:
        async def read(self, _: object) -> None:
            raise StoreUnavailable

    desk = await open_desk(store=Away())
    reply = await desk.ask("GET", f"{PREFIX}/messages", token=desk.token())

    problem = assert_problem(reply, 503, "store-unavailable")
    assert problem["who_must_act"] == "operator"
    assert reply.headers["Retry-After"] == "5"


async def test_too_many_at_once_are_told_to_come_again(
    open_desk: Callable[..., Any], services: Any, assert_problem: Callable[..., Any]
) -> None:
    """Beyond the limit a request is refused at once; those in hand are answered."""
    hold, begun = asyncio.Event(), asyncio.Event()

    class Slow:
        async def procedure(self, *_: object, **__: object) -> None:
            begun.set()
            await hold.wait()
            raise StoreUnavailable

    desk = await open_desk(inspect=Slow(), limits=replace(services.limits, in_flight=1))
    first = asyncio.create_task(desk.ask("GET", f"{PREFIX}/procedures/{UNKNOWN}", token=desk.token()))
    await begun.wait()
    second = await desk.ask("GET", f"{PREFIX}/messages", token=desk.token())
    hold.set()

    assert_problem(second, 503, "overloaded")
    assert_problem(await first, 503, "store-unavailable")


async def test_one_line_per_request_without_path_query_or_subject(desk: Any, log_text: io.StringIO) -> None:
    """The canonical line has the route's template, role and authority; not what was asked or by whom."""
    await desk.ask("GET", f"{PREFIX}/messages/{UNKNOWN}?child=Maarika", token=desk.token(subject="anna.naidis"))
    await desk.ask("GET", "/Maarika?child=Maarika")

    first, second = [json.loads(line) for line in log_text.getvalue().splitlines()]
    assert {name: first[name] for name in ("event", "method", "route", "status", "role", "authority")} == {
        "event": "http.request", "method": "GET", "route": "/api/v1/messages/{id}", "status": 400, "role": "officer",
        "authority": "social-insurance-board",
    }  # fmt: skip
    assert (second["route"], second["status"]) == ("unmatched", 404)
    assert "Maarika" not in log_text.getvalue()
    assert "anna" not in log_text.getvalue()
    assert UNKNOWN not in log_text.getvalue()
