# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The scenario: Estonia asks Finland to find a child's mother, Finland answers, Sweden sees nothing of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from broker.api.local_issuer import LocalIssuer
from broker.api.tokens import WHOLE_NODE, Role
from broker.core.ids import AuthorityId, CountryCode
from broker.demo.checks import ACTS, AUTHOR_STEPS, RECIPIENT_STEPS
from broker.demo.client import DemoFailed, OfficeClient, until
from broker.demo.evidence import Evidence, Landed, Sent, Side
from broker.demo.onlooker import look_on
from broker.demo.processes import NodeProcess, node_process
from broker.demo.stage import COUNTRIES, Stage
from broker.schema_files import read_schema_file
from broker.settings import TOKEN_KEY_FILE
from broker.system import SystemClock
from broker.testing.federation import OFFICES

__all__ = ["NAME", "Walk", "examples", "played", "walk"]

NAME = "family-tracing"
STEP_SECONDS = 20.0  # for one step of the scenario; each takes a fraction of a second
_TOKEN_LIFE = timedelta(minutes=10)

Examples = Mapping[str, Mapping[str, Any]]


def examples() -> Examples:
    """Return the scenario's submissions by act, from ``schemas/examples/demo``.

    Raises:
        CatalogueInvalid: one of the files is missing.
    """
    return {act: json.loads(read_schema_file(f"examples/demo/{act}.json")) for act in ACTS}


async def walk(stage: Stage, submissions: Examples) -> Evidence:
    """Start the nodes, play the scenario and return what was seen; every node has ended when this returns.

    Raises:
        BrokerError: a step did not happen.
    """
    offices = _offices(submissions)
    issuers = {country: _issuer(stage, country) for country in COUNTRIES}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        nodes = await _start(stage, stack)
        clients = {
            country: _client(nodes[country], country, offices[country], issuers[country], http) for country in COUNTRIES
        }
        return await played(Walk(stage, clients, submissions), clients.values())


class _Run(Protocol):
    async def play(self) -> Evidence: ...


class Walk:
    """One run of the scenario over running nodes."""

    def __init__(self, stage: Stage, clients: Mapping[str, OfficeClient], submissions: Examples) -> None:
        self._stage = stage
        self._clients = clients
        self._asking, self._asked, self._onlooker = (clients[country] for country in COUNTRIES)
        self._submissions = submissions
        self._sent: list[Sent] = []
        self._procedure = ""

    async def play(self) -> Evidence:
        """Send, open, answer; then collect what every side can show.

        Raises:
            BrokerError: a step did not happen.
        """
        request = await self._send("request", self._asking, self._asked)
        await self._landed_at(self._asked, request)
        await self._open(request, self._asked)
        for act in ("acknowledgement", "result"):
            answer = await self._send(act, self._asked, self._asking)
            await self._open(answer, self._asking)
        await self._settle()
        return await self._collect()

    async def _send(self, act: str, author: OfficeClient, recipient: OfficeClient) -> Sent:
        """Submit by the author's API, and wait until the recipient's people or system have it."""
        data = dict(self._submissions[act])
        if self._procedure:
            data["procedure"] = self._procedure
        accepted = await author.submit(data, key=f"demo-{act}")
        self._procedure = accepted["procedure"]
        sent = Sent(
            act=act, author=author.country, recipient=recipient.country,
            message=accepted["message"], digest=accepted["digest"],
        )  # fmt: skip
        self._sent.append(sent)

        async def handed_over() -> bool:
            held = await recipient.messages(self._procedure) if await self._known(recipient) else []
            return any(item["id"] == sent.message and "handed_over" in item for item in held)

        await until(f"{act} handed over in {recipient.country}", handed_over, seconds=STEP_SECONDS)
        return sent

    async def _known(self, client: OfficeClient) -> bool:
        return await client.procedure_status(self._procedure) == 200

    async def _landed_at(self, client: OfficeClient, sent: Sent) -> None:
        async def landed() -> bool:
            return any(item.message == sent.message for item in _landed(self._stage.homes[client.country]))

        await until(f"{sent.act} landed in {client.country}'s system", landed, seconds=STEP_SECONDS)

    async def _open(self, sent: Sent, client: OfficeClient) -> None:
        """An officer reads the content, and says so."""
        content = (await client.message(sent.message)).get("content") or {}
        if content.get("body") != self._submissions[sent.act]["body"]:
            raise DemoFailed(f"{client.country} does not read the {sent.act} that {sent.author} wrote.")
        await client.open(sent.message)

    async def _settle(self) -> None:
        """Wait for the last receipts; where they do not come, the checks say what is missing."""

        async def settled() -> bool:
            for sent in self._sent:
                author, recipient = self._clients[sent.author], self._clients[sent.recipient]
                told = {line.state for line in await author.timeline(self._procedure) if line.message == sent.message}
                held = {
                    line.state for line in await recipient.timeline(self._procedure) if line.message == sent.message
                }
                if not told.issuperset(AUTHOR_STEPS) or not held.issuperset(RECIPIENT_STEPS):
                    return False
            return True

        try:
            await until("every receipt came back", settled, seconds=STEP_SECONDS)
        except DemoFailed:
            return

    async def _collect(self) -> Evidence:
        asking, asked = await asyncio.gather(self._side(self._asking), self._side(self._asked))
        return Evidence(
            sent=tuple(self._sent),
            requesting=asking,
            requested=asked,
            landed=_landed(self._stage.homes[self._asked.country]),
            onlooker=await look_on(self._stage, self._onlooker, self._procedure, self._sent),
        )

    async def _side(self, client: OfficeClient) -> Side:
        record = await client.procedure(self._procedure)
        return Side(
            country=client.country,
            digest=record.get("digest"),
            state=record["state"],
            alarm=record["alarm"],
            gap=record["gap"],
            messages=tuple(item["digest"] for item in await client.messages(self._procedure)),
            timeline=await client.timeline(self._procedure),
            attention=await client.attention(),
        )


async def played(run: _Run, clients: Iterable[OfficeClient]) -> Evidence:
    """Play it, and where a step does not happen also say what is wrong with the nodes: mostly it is why.

    Raises:
        DemoFailed: a step did not happen.
    """
    try:
        return await run.play()
    except DemoFailed as error:
        said = [f"{client.country}'s node says: {trouble}" for client in clients for trouble in await client.unwell()]
        raise DemoFailed(" ".join((error.detail, *said))) from None


async def _start(stage: Stage, stack: AsyncExitStack) -> dict[str, NodeProcess]:
    """Start all nodes at once; what one of them cannot do ends the others too."""
    entering = (stack.enter_async_context(node_process(stage.homes[country])) for country in COUNTRIES)
    # All are waited for, also where one fails: only what has entered the stack is ended by it.
    entered = await asyncio.gather(*entering, return_exceptions=True)
    nodes: dict[str, NodeProcess] = {}
    for country, node in zip(COUNTRIES, entered, strict=True):
        if isinstance(node, BaseException):
            raise node
        nodes[country] = node
    return nodes


def _offices(submissions: Examples) -> Mapping[str, AuthorityId]:
    """Return the office of each country that takes part: the request's two, and any of the third country."""
    request = submissions["request"]
    return {
        COUNTRIES[0]: AuthorityId(request["sender"]["authority"]),
        COUNTRIES[1]: AuthorityId(request["recipient"]["authority"]),
        COUNTRIES[2]: OFFICES[COUNTRIES[2]][0].id,
    }


def _issuer(stage: Stage, country: str) -> LocalIssuer:
    return LocalIssuer.create(stage.homes[country] / TOKEN_KEY_FILE, us=CountryCode(country), clock=SystemClock())


def _client(
    node: NodeProcess, country: str, office: AuthorityId, issuer: LocalIssuer, http: aiohttp.ClientSession
) -> OfficeClient:
    return OfficeClient(
        country=country,
        url=node.url,
        http=http,
        system=issuer.issue("demo-system", Role.SYSTEM, office, _TOKEN_LIFE),
        officer=issuer.issue("demo-officer", Role.OFFICER, office, _TOKEN_LIFE),
        admin=issuer.issue("demo-admin", Role.ADMIN, WHOLE_NODE, _TOKEN_LIFE),
    )


def _landed(home: Path) -> tuple[Landed, ...]:
    """Return what the file-drop adapter put into the national system's folder."""
    files = sorted((home / "filedrop" / "in").glob("*.json"))
    landed = [json.loads(file.read_bytes()) for file in files]
    return tuple(Landed(message=item["id"], digest=item["digest"]) for item in landed)
