# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Estonia's office tells Finland's what the child said of itself, of its health, and where it is: nobody between them reads it."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.authority_keys import revoked
from broker.core.errors import AuthorityKeyEnded, AuthorityKeyMissing, SchemaInvalid, SealedPartRefused
from broker.core.ids import CountryCode
from broker.core.messages import Header
from broker.core.trust import Member, RevocationReason
from broker.rows import Accepted, MessageFilter
from broker.schema_files import read_schema_file
from broker.sealed.opening import Surroundings, open_parts
from broker.sealed.sealing import seal_submission
from broker.testing.canaries import CANARIES, found
from broker.testing.offices import INSIDES, authority_key, office, opener_of, unsafe_seed, with_office_keys
from broker.testing.world import World

EE_OFFICE, FI_OFFICE = office("EE/social-insurance-board"), office("FI/helsinki-wellbeing-services")
FI = CountryCode("FI")
BASIS = {"code": "B2B_80"}


def _example(name: str) -> dict[str, Any]:
    """Return an example as these two offices exchange it."""
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{name}.json"))
    sender, recipient = (FI_OFFICE, EE_OFFICE) if name.endswith("foster-care") else (EE_OFFICE, FI_OFFICE)
    data["sender"] = {"authority": str(sender.authority)}
    data["recipient"] = {"country": str(recipient.country), "authority": str(recipient.authority)}
    return {**data, "legal_basis": BASIS}


def _information(asked: Accepted) -> dict[str, Any]:
    """Return the answer as the Estonian office writes it: an invented name wherever only the other office may look."""
    data = _example("best-interests/information-five-elements")
    own = json.loads(json.dumps(INSIDES["parts/self-assessment.json"]))
    own["answers"] = [
        {"area": area, "level": "NEEDS_HELP", "words": name}
        for area, name in zip(("SECURE_BASE", "PEERS", "HEALTH", "RUNNING_AWAY"), CANARIES, strict=False)
    ]
    office_of = {"name": "Test-Office", "kind": "HEALTH", "country": "EE"}
    health = [
        {"nature": "FACT", "text": name, "by": office_of, "on": "2026-11-01", "source": "SERVICE_RECORD"}
        for name in CANARIES[4:]
    ]
    data["body"]["elements"].append({"element": "HEALTH", "statements_sealed": {"statements": health}})
    data["body"]["self_assessment"] = own
    return {**data, "procedure": str(asked.procedure)}


async def _asked(world: World) -> Accepted:
    asked = await world["FI"].submit(_example("best-interests/request-grandmother-or-foster-care"))
    await world.settle()
    return asked


def _seal(world: World, data: dict[str, Any], country: str = "EE") -> dict[str, Any]:
    node = world[country]
    return dict(
        seal_submission(
            data, country=node.us, trust=node.trust.current(), catalogue=node.desk.catalogue, now=world.clock.now()
        ).data
    )


def _open(world: World, header: Header, body: Any, *numbers: int) -> Any:
    around = Surroundings(
        sender=header.sender,
        recipient=header.recipient,
        type=header.type,
        version=header.version,
        procedure=header.procedure.id if header.procedure else None,
        exercise=header.exercise,
    )
    catalogue = world["FI"].desk.catalogue
    return open_parts(around, body, opener=opener_of(FI_OFFICE, *numbers), catalogue=catalogue)


async def _received(world: World, sent: Accepted) -> tuple[Header, Any]:
    (row,) = await world["FI"].store.read(lambda reader: reader.messages_of(sent.message, FI_OFFICE.authority))
    content = json.loads(row.content or b"{}")
    return row.header, content["body"]


async def test_what_one_office_seals_the_other_opens_and_no_node_reads(world: World) -> None:
    """The child's own words and its health arrive whole; in neither node does any word of them stand."""
    data = _information(await _asked(world))
    sent = await world["EE"].submit(_seal(world, data))
    await world.settle()

    header, body = await _received(world, sent)
    opened = _open(world, header, body)
    assert opened.faults == ()
    assert set(opened.opened) == {"/self_assessment", f"/elements/{len(body['elements']) - 1}/statements_sealed"}
    assert opened.body["self_assessment"] == data["body"]["self_assessment"]
    assert found(json.dumps(opened.body, ensure_ascii=False).encode()) == set(CANARIES)
    assert await world["EE"].states(sent) == ["handed-over"]
    for name in ("EE", "FI"):
        assert found(await _everything(world, name)) == set()


async def _everything(world: World, name: str) -> bytes:
    """Return what a node gives of all its messages and of its trail, in clear as people and systems get it."""
    store = world[name].store
    page = await store.read(lambda reader: reader.messages(MessageFilter(), cursor=None, limit=100))
    contents = []
    for row in page.items:
        (one,) = await store.read(lambda reader, row=row: reader.messages_of(row.id, None))  # type: ignore[misc]
        contents.append(one.content or b"")
    assert len(contents) == 2
    assert all(b'"body"' in content for content in contents)
    return b"\n".join([*contents, repr(page).encode(), "\n".join(world[name].outcomes).encode()])


async def test_no_object_of_a_node_holds_an_offices_key(world: World) -> None:
    """Neither vault, nor ring, nor trust list: the private half is made in this test alone, and before that nowhere."""
    asked = await _asked(world)
    trust = world["EE"].trust.current().members[FI]
    kid = authority_key(FI_OFFICE).kid
    assert kid in trust.all_kids()
    seed = unsafe_seed(FI_OFFICE)
    for node in world.countries.values():
        held = [item for item in gc.get_objects() if type(item).__name__ in {"KeyRing", "FileVault", "_Held"}]
        assert held
        assert not any(item.holds(kid) for item in held if type(item).__name__ == "KeyRing")
        assert not any(key.seed == seed for key in node.keys)
    assert asked.procedure


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda body: {**body, "self_assessment": INSIDES["parts/self-assessment.json"]}, SchemaInvalid),
        (lambda body: {**body, "elements": body["elements"][:-1]}, SealedPartRefused),
        (lambda body: {**body, "self_assessment": {**body["self_assessment"], "kid": "A" * 43}}, SealedPartRefused),
    ],
    ids=["in clear", "a part taken out", "another kid"],
)
async def test_what_its_office_could_not_open_does_not_leave(
    world: World, change: Callable[[Any], Any], error: type[Exception]
) -> None:
    """The sending node refuses it at its own desk, and stores nothing."""
    asked = await _asked(world)
    sealed = _seal(world, _information(asked))
    changed = {**sealed, "body": change(sealed["body"])}
    before = await world["EE"].counts()
    with pytest.raises(error):
        await world["EE"].submit(changed)
    assert await world["EE"].counts() == before


async def test_an_office_without_a_key_is_sent_nothing_sealed(world: World) -> None:
    """Its country's officers are asked for one; everything else goes on."""
    asked = await _asked(world)
    sealed = _seal(world, _information(asked))
    world.set_trust(
        lambda member: replace(member, authorities=tuple(replace(item, keys=()) for item in member.authorities))
    )
    await world["EE"].trust.refresh()
    with pytest.raises(AuthorityKeyMissing):
        await world["EE"].submit(sealed)
    plain = _example("best-interests/information-five-elements")
    await world["EE"].submit({**plain, "procedure": str(asked.procedure)})


async def test_a_key_revoked_on_the_way_is_refused_and_its_author_seals_anew(world: World) -> None:
    """The refusal is signed; the same words, sealed to the next key, are taken and opened with it."""
    asked = await _asked(world)
    data = _information(asked)
    sent = await world["EE"].submit(_seal(world, data))
    kid = authority_key(FI_OFFICE).kid

    def changed(member: Member) -> Member:
        next_key = with_office_keys(member, start=world.clock.now(), number=2)
        return revoked(next_key, kid, at=world.clock.now(), reason=RevocationReason.COMPROMISED)

    world.set_trust(changed)
    await world["FI"].trust.refresh()
    await world.settle()
    assert await world["EE"].states(sent) == ["refused"]
    assert "refused" in await world["EE"].attention()
    await world["EE"].trust.refresh()
    with pytest.raises(AuthorityKeyEnded):
        await world["EE"].submit(_seal_with(world, data, number=1))

    again = await world["EE"].submit(_seal(world, data))
    await world.settle()
    header, body = await _received(world, again)
    assert _open(world, header, body, 2).faults == ()
    assert {fault.code for fault in _open(world, header, body, 1).faults} == {"unknown-recipient-key"}


def _seal_with(world: World, data: dict[str, Any], *, number: int) -> dict[str, Any]:
    """Seal by a list in which the office still has its old key."""
    node, now = world["EE"], world.clock.now()
    old = replace(
        node.trust.current().members[FI],
        authorities=tuple(replace(item, keys=()) for item in node.trust.current().members[FI].authorities),
    )
    members = {**node.trust.current().members, FI: with_office_keys(old, start=now - timedelta(hours=1), number=number)}
    trust = replace(node.trust.current(), members=members)
    return dict(seal_submission(data, country=node.us, trust=trust, catalogue=node.desk.catalogue, now=now).data)


async def test_a_key_newer_than_the_receiving_nodes_list_makes_it_ask_for_the_list(world: World) -> None:
    """Nothing is refused for a list that is only late: the message waits, and is taken by the newer one."""
    asked = await _asked(world)
    world.set_trust(lambda member: with_office_keys(member, start=world.clock.now(), number=2))
    await world["EE"].trust.refresh()
    world.clock.advance(60)
    sent = await world["EE"].submit(_seal(world, _information(asked)))
    await world.settle()
    assert await world["EE"].states(sent) == ["published"]
    await world["FI"].trust.refresh()
    world.clock.advance(3600)
    await world["FI"].offer_parked()
    await world.settle()
    header, body = await _received(world, sent)
    assert _open(world, header, body, 2).faults == ()


async def test_a_sealed_part_walks_on_only_sealed_anew(world: World) -> None:
    """The receiving office hands nothing on as it came: the part opens nowhere else, and no node lets it pass."""
    asked = await _asked(world)
    data = _information(asked)
    sealed = _seal(world, data)
    moved = {**_example("best-interests/information-five-elements"), "procedure": str(asked.procedure)}
    moved["body"] = {**moved["body"], "self_assessment": sealed["body"]["self_assessment"]}
    with pytest.raises(SealedPartRefused):
        await world["EE"].submit(moved)
