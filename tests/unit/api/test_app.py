# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Putting the API together."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from broker.api.app import create_app
from broker.api.routes import PREFIX, ROUTES, Route
from broker.api.tokens import Principal, Role
from broker.core.errors import Unauthenticated


class Closing:
    """A verifier that remembers being closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def verify(self, token: str) -> Principal:
        raise Unauthenticated

    async def close(self) -> None:
        self.closed += 1


def test_every_route_of_the_table_is_routed(services: Any) -> None:
    """The router holds the table's endpoints, without the silent HEAD twins."""
    routed = {
        (route.method, route.resource.canonical) for route in create_app(services).router.routes() if route.resource
    }

    assert routed == {(route.method, PREFIX + route.path) for route in ROUTES}


async def test_verifier_is_closed_with_the_application(services: Any) -> None:
    """The issuer's connections end with the application."""
    tokens = Closing()
    app = create_app(replace(services, tokens=tokens))
    app.freeze()
    await app.cleanup()

    assert tokens.closed == 1


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_a_misspelt_parameter_is_refused_by_every_endpoint(desk: Any, route: Route) -> None:
    """Nobody is shown more than was asked for, and nothing leaves that the caller believed to limit."""
    role = "officer" if route.roles is None or Role.OFFICER in route.roles else min(route.roles)
    token = desk.token(role, "social-insurance-board" if role == "officer" else "node")
    path = re.sub(r"\{\w+\}", "1", route.template)
    reply = await desk.ask(route.method, f"{path}?misspelt=1", token=token)
    assert reply.status == 400
    assert route.method == "HEAD" or reply.json["where"] == "query"
