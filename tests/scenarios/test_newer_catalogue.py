# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Countries renew their catalogue on different days: nothing is lost and nothing is misread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest

from broker.catalogue import Catalogue
from broker.core.errors import VersionNotSupported
from broker.core.ids import MessageType, SchemaVersion
from broker.core.trust import Member
from broker.schema_files import read_schema_files
from broker.testing.world import World

REQUEST = MessageType("family-tracing.request")
OLD, NEW = SchemaVersion("1.0"), SchemaVersion("1.1")
PLACE = "messages/family-tracing/request/"


@cache
def _newer() -> Catalogue:
    """This catalogue, and a further version of the tracing request with one more field."""
    files: Mapping[str, bytes] = read_schema_files()
    schema = json.loads(files[f"{PLACE}{OLD}.json"])
    schema |= {"x-trm-version": str(NEW), "$id": schema["$id"].replace(f"{OLD}.json", f"{NEW}.json")}
    schema["properties"]["last_words"] = {"title": "What was said last", "$ref": "/parts/note.json"}
    return Catalogue.from_files({**files, f"{PLACE}{NEW}.json": json.dumps(schema).encode()})


def _lists_newer(member: Member) -> Member:
    return replace(member, messages={**member.messages, REQUEST: (OLD, NEW)})


async def test_a_version_is_sent_once_the_recipient_lists_it(world: World) -> None:
    """With the newer catalogue Estonia still writes the version that Finland lists, and nothing beyond it."""
    await world.restart("EE", catalogue=_newer())
    request = await world["EE"].submit("request.json", version=None)
    with pytest.raises(VersionNotSupported):
        await world["EE"].submit("request.json", version=NEW)
    await world.settle()

    (message,) = await world["FI"].store.read(lambda reader: reader.messages_of(request.message, None))
    assert message.header.version == OLD


async def test_a_newer_version_that_arrives_all_the_same_waits_for_the_newer_catalogue(world: World) -> None:
    """Parked without a receipt and unseen; taken with its further field once the node has the catalogue; nobody resends."""
    world.set_trust(_lists_newer)
    for country in ("EE", "FI"):
        await world[country].trust.refresh()
    await world.restart("EE", catalogue=_newer())
    submission = world["EE"].submission("request.json")
    request = await world["EE"].desk.submit(
        replace(submission, version=None, body={**submission.body, "last_words": "Test."})
    )
    await world.settle()

    assert (await world["FI"].counts())["parked"] == 1
    assert await world["FI"].store.read(lambda reader: reader.messages_of(request.message, None)) == ()
    assert await world["EE"].states(request) == ["published"]

    await world["FI"].offer_parked()
    assert (await world["FI"].counts())["parked"] == 1
    await world.restart("FI", catalogue=_newer())
    world.clock.advance(3600)
    await world["FI"].offer_parked()
    await world.settle()

    assert (await world["FI"].counts())["parked"] == 0
    (message,) = await world["FI"].store.read(lambda reader: reader.messages_of(request.message, None))
    assert message.header.version == NEW
    assert json.loads(message.content or b"")["body"]["last_words"] == "Test."
    assert await world["EE"].states(request) == ["handed-over"]
    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)
    assert (ours.state, ours.digest) == (theirs.state, theirs.digest)
