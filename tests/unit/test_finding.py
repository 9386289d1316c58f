# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Finding the one message that is named."""

from __future__ import annotations

import pytest

from broker.core.errors import AmbiguousMessage, NotFound
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.finding import find_message
from broker.testing.hostile import Hostile
from broker.testing.world import World, officer

EE, SE = CountryCode("EE"), CountryCode("SE")
HELSINKI, OTHER = AuthorityId("helsinki-wellbeing-services"), AuthorityId("ministry-of-justice")


def _board() -> Party:
    return Party(country=EE, authority=AuthorityId("social-insurance-board"))


async def test_a_message_whose_id_another_country_uses_too_is_named_by_its_peer(world: World) -> None:
    """Without the peer nothing is guessed and both are named; with it each is found; others see neither."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    hostile = Hostile(world["SE"], world["FI"])
    assert await hostile.send(hostile.message("request.json", id=request.message)) == "recorded"
    read = world["FI"].store.read

    with pytest.raises(AmbiguousMessage) as caught:
        await read(lambda reader: find_message(reader, request.message, HELSINKI))
    assert "from EE" in caught.value.detail
    assert "from SE" in caught.value.detail
    for peer in (EE, SE):
        row = await read(lambda reader, peer=peer: find_message(reader, request.message, HELSINKI, peer=peer))
        assert (row.peer, row.direction) == (peer, "in")
    for wanted in ({"direction": "out"}, {"peer": CountryCode("FI")}):
        with pytest.raises(NotFound, match=r"another one than is asked for: from \w\w, from \w\w\."):
            await read(lambda reader, wanted=wanted: find_message(reader, request.message, HELSINKI, **wanted))
    with pytest.raises(NotFound, match="There is no such thing here, or it belongs to another authority"):
        await read(lambda reader: find_message(reader, request.message, OTHER, direction="out"))


async def test_a_country_that_answers_with_our_own_id_hides_nothing(world: World) -> None:
    """Peer and id are equal both ways; the direction tells them apart."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    hostile = Hostile(world["FI"], world["EE"])
    entry = hostile.message("request.json", id=request.message, recipient=_board())
    assert await hostile.send(entry) == "recorded"

    for direction in ("in", "out"):
        row = await world["EE"].store.read(
            lambda reader, way=direction: find_message(reader, request.message, None, direction=way)
        )
        assert row.direction == direction


async def test_the_named_one_of_two_is_opened(world: World) -> None:
    """An officer who opens a message by an ambiguous id is asked for the country, and the other one stays unopened."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    hostile = Hostile(world["SE"], world["FI"])
    await hostile.send(hostile.message("request.json", id=request.message))
    opened = world["FI"].desk.open_message

    with pytest.raises(AmbiguousMessage):
        await opened(request.message, officer(HELSINKI))
    await opened(request.message, officer(HELSINKI), peer=EE)

    rows = await world["FI"].store.read(lambda reader: reader.messages_of(request.message, HELSINKI))
    assert {row.peer: row.opened is not None for row in rows} == {EE: True, SE: False}
