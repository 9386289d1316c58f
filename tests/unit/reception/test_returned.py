# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message of ours that comes back counts with both our signatures, and only as what it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from broker.core import canonical
from broker.core.healing import Answer, Returned
from broker.core.ids import CountryCode, Digest
from broker.core.messages import ProfileHeader, VerifiedMessage
from broker.core.trust import KeyUse, Member, TrustList
from broker.reception.returned import ReturnedMessage, read_returned
from broker.security import envelope as wire
from broker.security.suite import Signer
from broker.testing.store_rows import message_id
from broker.testing.world import World
from broker.vault import FileVault

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")


async def came(world: World) -> tuple[VerifiedMessage, TrustList]:
    """Return an answer of FI's, as EE believed it, that brings a message of EE's back."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    row = await world["FI"].store.run(lambda tx: tx.inbox(EE, request.message))
    signatures = await world["FI"].store.run(lambda tx: tx.healing.signatures(EE, request.message))
    assert row is not None
    assert signatures is not None
    signed = {"payload": canonical.b64url_encode(row.entry.content), "signatures": canonical.parse(signatures)}
    body = Answer(
        question=message_id(1), returned=Returned(digest=request.digest, signed=signed, receipts=())
    ).body()  # fmt: skip
    sent = await world["EE"].store.run(lambda tx: tx.outbox(request.message))
    assert sent is not None
    profile: Any = type("Profile", (), {"recipient": EE, "sender": FI, "id": message_id(2)})()
    verified = VerifiedMessage(
        profile=profile, content=b"", digest=Digest("1" * 64), header={"type": "node.held"}, body=body, sender=FI,
        signer_kids=row.entry.signer_kids, recipient_kid=row.entry.signer_kids[0], trust_version=1,
        received=world.clock.now(),
    )  # fmt: skip
    return verified, world["EE"].trust.current()


def read(verified: VerifiedMessage, trust: TrustList, **changes: Any) -> ReturnedMessage:
    """Return what EE makes of it, with parts of what came back changed."""
    back = {**verified.body["returned"], **changes}
    found = read_returned(replace(verified, body={**verified.body, "returned": back}), trust, EE)
    assert found is not None
    return found


async def test_what_we_signed_is_taken(world: World) -> None:
    """Header and content are those that were sent."""
    verified, trust = await came(world)
    found = read(verified, trust)
    assert found.header is not None
    assert (found.code, found.header.sender.country, canonical.digest(found.content)) == ("", EE, found.digest)
    assert found.digest == verified.body["returned"]["digest"]


async def test_what_we_did_not_sign_so_is_not(world: World) -> None:
    """Other bytes, a signature less, a digest that is another's: each is a code, and nothing of the content is given."""
    verified, trust = await came(world)
    signed = verified.body["returned"]["signed"]
    other = canonical.b64url_encode(canonical.b64url_decode(signed["payload"]).replace(b":false", b":true"))
    for changes, code in (
        ({"signed": {**signed, "payload": other}}, "bad-signature"),
        ({"signed": {**signed, "signatures": signed["signatures"][:1]}}, "signature-shape"),
        ({"digest": Digest("0" * 64)}, "header-mismatch"),
    ):
        found = read(verified, trust, **changes)
        assert (found.code, found.header, found.content) == (code, None, b"")


async def test_another_countrys_message_and_a_revoked_key_do_not_count(world: World) -> None:
    """Who gives back what went to somebody else, or what a stolen key may have signed, gives nothing."""
    verified, trust = await came(world)
    assert read(replace(verified, sender=SE), trust).code == "header-mismatch"
    to_another: Any = type("Profile", (), {"recipient": SE, "sender": FI, "id": message_id(2)})()
    assert read(replace(verified, profile=to_another), trust).code == "header-mismatch"

    for use in (KeyUse.ED25519, KeyUse.ML_DSA_65):  # one of the two is enough
        after = replace(trust, members={**trust.members, EE: revoked(trust.members[EE], use, world.clock.now())})
        assert read(verified, after).code == "key-revoked"
    strangers = replace(trust, members={name: member for name, member in trust.members.items() if name != EE})
    assert read(verified, strangers).code == "unknown-key"
    moved = replace(trust, members={**strangers.members, FI: replace(trust.members[EE], country=FI)})
    assert read(verified, moved).code == "wrong-member-key"


def revoked(member: Member, use: KeyUse, at: datetime) -> Member:
    """Return the member without that key."""
    return replace(member, keys=tuple(replace(key, revoked_at=at) if key.use is use else key for key in member.keys))


async def test_a_key_signs_in_its_own_place_alone(world: World) -> None:
    """A signature that names the country's key of the other kind is told apart from a false one."""
    verified, trust = await came(world)
    signed = verified.body["returned"]["signed"]
    heads = [canonical.parse(canonical.b64url_decode(item["protected"])) for item in signed["signatures"]]
    heads[0]["kid"], heads[1]["kid"] = heads[1]["kid"], heads[0]["kid"]
    swapped = [
        {**item, "protected": canonical.b64url_encode(canonical.dump(head))}
        for item, head in zip(signed["signatures"], heads, strict=True)
    ]
    assert read(verified, trust, signed={**signed, "signatures": swapped}).code == "wrong-member-key"


@pytest.mark.parametrize(
    "header", [{}, {"sender": "EE", "recipient": {"country": "FI"}}, {"sender": {"country": "EE"}, "recipient": []}]
)
async def test_what_we_signed_and_is_no_message_is_not_taken(world: World, header: dict[str, Any]) -> None:
    """Content under both our signatures that names no two countries is another one than announced, whoever signed it."""
    verified, trust = await came(world)
    content = canonical.dump({"header": header, "body": {}})
    signer = FileVault(EE, world["EE"].keys).signer(trust, world.clock.now())
    found = read(verified, trust, signed=signed_by(signer, content), digest=canonical.digest(content))
    assert found == ReturnedMessage(digest=canonical.digest(content), code="header-mismatch")


def signed_by(signer: Signer, content: bytes) -> dict[str, Any]:
    """Return content under both signatures, as it would come back."""
    payload, signatures = canonical.b64url_encode(content), []
    profile = ProfileHeader(id=message_id(9), sender=EE, recipient=FI, exercise=False, expires=2_000_000_000)
    for use, kid, sign in (
        (KeyUse.ED25519, signer.ed25519_kid, signer.sign_ed25519),
        (KeyUse.ML_DSA_65, signer.ml_dsa_kid, signer.sign_ml_dsa),
    ):
        head = wire.protected_jws(use, kid, wire.profile_bytes(profile))
        signature = canonical.b64url_encode(sign(wire.signing_input(head, payload)))
        signatures.append({"protected": head, "signature": signature})
    return {"payload": payload, "signatures": signatures}


@pytest.mark.parametrize("wrong", [{"digest": "no digest"}, {"signed": 5}, {"signed": "x"}, {"signed": None}])
async def test_an_answer_that_has_not_its_form_brings_nothing_back(world: World, wrong: dict[str, Any]) -> None:
    """Its schema refuses it; nothing is read out of it before."""
    verified, trust = await came(world)
    back = {**verified.body["returned"], **wrong}
    assert read_returned(replace(verified, body={**verified.body, "returned": back}), trust, EE) is None


@pytest.mark.parametrize("header", [{"type": "node.receipts"}, {"type": "node.held"}])
async def test_what_brings_nothing_back_is_nothing(world: World, header: dict[str, str]) -> None:
    """Another type, or an answer without a message."""
    verified, trust = await came(world)
    body = verified.body if header["type"] != "node.held" else {"question": message_id(1)}
    assert read_returned(replace(verified, header=header, body=body), trust, EE) is None
