# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document, held against a running node by schemathesis."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from broker.api.local_issuer import LocalIssuer
from broker.api.routes import ROUTES
from broker.api.tokens import Role
from broker.core.ids import AuthorityId, CountryCode
from broker.node import TOKEN_KEY_FILE, build
from broker.schema_files import load_catalogue, read_schema_file
from broker.settings import Settings
from broker.system import SystemClock
from broker.testing.federation import OFFICES, make_federation
from broker.transport.spool import create as create_spool
from broker.vault import open_vault

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
LONGEST_SECONDS = 240  # a stuck run is a failure, not a stuck suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A node and tokens for it."""

    url: str
    variables: dict[str, str]  # tokens by role, identifiers of what is there


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Running]:
    """Estonia's node as it runs in service, with the spool transport, in this test's loop."""
    clock, catalogue = SystemClock(), load_catalogue()
    takes = {known: catalogue.versions(known) for known in catalogue.types()}
    made = make_federation(tmp_path, ("EE", "FI"), messages=takes, now=clock.now())
    create_spool(made.spool_folder, made.homes)
    settings = Settings.load(made.homes[CountryCode("EE")])
    key = settings.home / TOKEN_KEY_FILE
    if not key.exists():
        LocalIssuer.create(key, us=settings.country, clock=clock)
    issuer = LocalIssuer.load(key, us=settings.country, clock=clock, audience=settings.token_audience)
    running = build(settings, open_vault(settings))
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(running.serve(address.set_result))
    await asyncio.wait({task, address}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    office, hour = OFFICES["EE"][0].id, timedelta(hours=1)
    tokens = {
        "OFFICER": issuer.issue("officer-17", Role.OFFICER, office, hour),
        "AUDITOR": issuer.issue("auditor-1", Role.AUDITOR, AuthorityId("node"), hour),
        "ADMIN": issuer.issue("admin-1", Role.ADMIN, AuthorityId("node"), hour),
    }
    url = await address
    yield Running(url=url, variables={**tokens, **await submit_example(url, tokens["OFFICER"])})
    task.cancel()
    await asyncio.wait({task})


async def submit_example(url: str, token: str) -> dict[str, str]:
    """Submit the demonstration's request, so that there is something to read."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "example", "Content-Type": "application/json"}
    example = read_schema_file("examples/demo/request.json")
    place = f"{url}/api/v1/messages"
    async with aiohttp.ClientSession() as session, session.post(place, data=example, headers=headers) as answer:
        text = await answer.text()
    assert answer.status == 202, text
    accepted = json.loads(text)
    return {"MESSAGE": accepted["message"], "PROCEDURE": accepted["procedure"]}


async def fetch(node: Running, path: str, role: str) -> bytes:
    """Ask the node."""
    headers = {"Authorization": f"Bearer {node.variables[role]}"}
    async with aiohttp.ClientSession() as session, session.get(f"{node.url}{path}", headers=headers) as answer:
        return await answer.read()


async def run_schemathesis(node: Running, folder: Path) -> tuple[int, str]:
    """Run it as people do, from the command line; return its exit code and report."""
    description = folder / "openapi.json"  # as a file: from its address, its own endpoint would be left out
    description.write_bytes(await fetch(node, "/api/v1/openapi.json", "OFFICER"))
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, "--config-file", str(CONFIG), "run", str(description), "--url", node.url,
        cwd=folder,
        env={
            **os.environ,
            **{f"TRM_TEST_{name}": value for name, value in node.variables.items()},
            "SCHEMATHESIS_HOOKS": str(HOOKS),
            "NO_COLOR": "1",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            report, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, report.decode()


async def test_running_node_keeps_to_its_description(node: Running, tmp_path: Path) -> None:
    """Whatever is asked of a node, right or wrong, its answers are those that its OpenAPI document describes."""
    code, report = await run_schemathesis(node, tmp_path)

    assert code == 0, report
    assert f"{len(ROUTES)} selected / {len(ROUTES)} total" in report, report
    health = json.loads(await fetch(node, "/api/v1/health", "ADMIN"))
    assert health["ready"] is True
    assert all(check["ok"] for check in health["checks"]), health
