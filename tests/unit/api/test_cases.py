# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Looking for a person over HTTP."""

from __future__ import annotations

import io
from typing import Any

import pytest

SEARCH = "/api/v1/cases/search"


async def ask(desk: Any, body: Any, **token: Any) -> Any:
    """Ask as an officer, or under another token."""
    return await desk.ask("POST", SEARCH, token=desk.token(**token), json=body)


async def test_a_case_is_found_without_its_contents(desk: Any, document: dict[str, Any], log_text: io.StringIO) -> None:
    """Case reference, procedure, state and time are shown; no name, in the answer or a log, and nothing of a message."""
    accepted = (await desk.submit(document)).json
    reply = await ask(desk, {"name": "maarika NAIDIS", "born": "2014-05-03", "reason": "casework"})
    assert reply.status == 200, reply.text
    (item,) = reply.json["items"]
    assert (item["id"], item["case_ref"], item["state"]) == (
        accepted["procedure"], accepted["case_ref"], "REQUESTED",
    )  # fmt: skip
    assert (reply.json["more"], reply.json["whole"]) == (False, True)
    assert "aarika" not in reply.text + log_text.getvalue()
    assert "/cases/search" in log_text.getvalue()

    nobody = await ask(desk, {"name": "Somebody else", "reason": "casework"})
    assert (nobody.status, nobody.json["items"]) == (200, [])


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"name": "Maarika"}, "/reason"),
        ({"name": "Maarika", "reason": "curiosity"}, "/reason"),
        ({"reason": "casework"}, "/name"),
        ({"born": "2014", "reason": "casework"}, "/name"),
        ({"name": "Maarika", "born": "yesterday", "reason": "casework"}, "/born"),
        ({"name": ["Maarika"], "reason": "casework"}, "/name"),
        ({"name": None, "reason": "casework"}, "/name"),
        ({"procedure": "nothing", "reason": "casework"}, "/procedure"),
        ({"procedure": "01920000-0000-7000-8000-000000000001", "name": "Maarika", "reason": "casework"}, "/procedure"),
    ],
)
async def test_what_is_no_search_is_refused(desk: Any, log_text: io.StringIO, body: Any, where: str) -> None:
    """With the place and never the name; a refused search is in no log either."""
    reply = await ask(desk, body)
    assert (reply.status, reply.json["code"], reply.json["where"]) == (400, "bad-request", where)
    assert "aarika" not in reply.text + log_text.getvalue()


@pytest.mark.parametrize("body", [[], "Maarika", {"name": "Maarika", "reason": "casework", "prefix": True}])
async def test_only_a_search_is_a_search(desk: Any, body: Any) -> None:
    """Another JSON value, or a member more, is refused."""
    assert (await ask(desk, body)).status == 400


async def test_names_are_taken_in_no_address(desk: Any, document: dict[str, Any]) -> None:
    """Proxies log addresses: a query parameter is refused, and reading the path finds nothing."""
    await desk.submit(document)
    body = {"name": "Maarika", "reason": "casework"}
    assert (await desk.ask("POST", f"{SEARCH}?name=Maarika", token=desk.token(), json=body)).status == 400
    assert (await desk.ask("GET", SEARCH, token=desk.token())).status == 405


@pytest.mark.parametrize("role", ["system", "admin", "auditor"])
async def test_only_an_officer_searches(desk: Any, role: str) -> None:
    """Systems, administrators and auditors look for nobody."""
    assert (await ask(desk, {"name": "Maarika", "reason": "casework"}, role=role)).status == 403


async def test_the_other_procedures_of_a_child_are_asked_for_by_one_of_them(
    desk: Any, document: dict[str, Any]
) -> None:
    """No name is in the question or the answer; one that is not the office's is not found."""
    first, second = [(await desk.submit(document, key=key)).json for key in ("one", "two")]
    reply = await ask(desk, {"procedure": first["procedure"], "reason": "casework"})
    assert (reply.status, [item["id"] for item in reply.json["items"]]) == (200, [second["procedure"]])
    assert "aarika" not in reply.text
    unknown = {"procedure": "01920000-0000-7000-8000-000000000001", "reason": "casework"}
    assert (await ask(desk, unknown)).status == 404
