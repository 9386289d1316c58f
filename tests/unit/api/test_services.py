# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the API is given: nothing is looked at without whether surge mode is on."""

from __future__ import annotations

from typing import Any

LISTS = ("messages", "procedures", "held", "attention")


async def test_every_list_and_what_it_concerns_says_until_when_surge_mode_is_on(
    desk: Any, registration: dict[str, Any], document: dict[str, Any]
) -> None:
    """R-39: absent while it is on nowhere; then on every page, in each message and procedure with that country."""
    request = (await desk.submit(document)).json
    shown = [f"/api/v1/{name}" for name in LISTS]
    shown += [f"/api/v1/messages/{request['message']}", f"/api/v1/procedures/{request['procedure']}"]
    token = desk.token()
    for path in shown:
        assert "surge" not in (await desk.ask("GET", path, token=token)).json

    declared = await desk.submit(registration, key="key-2")
    assert declared.status == 202, declared.text
    for path in shown:
        reply = await desk.ask("GET", path, token=token)
        assert reply.json["surge"] == [
            {"declared_by": "EE", "towards": "FI", "until": "2026-11-24", "exercise": True}
        ], path

    desk.clock.advance(seconds=3 * 86_400)
    for path in shown:
        assert "surge" not in (await desk.ask("GET", path, token=token)).json


async def test_a_drill_is_not_shown_in_a_message_that_is_none(
    desk: Any, registration: dict[str, Any], document: dict[str, Any]
) -> None:
    """R-40: a real message is under no exercise's mode; the list of both says what it is."""
    document["exercise"] = False
    real = (await desk.submit(document)).json
    assert (await desk.submit(registration, key="key-2")).status == 202
    token = desk.token()
    assert "surge" not in (await desk.ask("GET", f"/api/v1/messages/{real['message']}", token=token)).json
    (mode,) = (await desk.ask("GET", "/api/v1/messages", token=token)).json["surge"]
    assert mode["exercise"] is True
