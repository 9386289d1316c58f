# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Signing statements about an audit trail, and refusing those that are not the member's."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core import canonical
from broker.core.audit import Head
from broker.core.checkpoints import Checkpoint
from broker.core.errors import (
    BadSignature,
    BrokerError,
    KeyExpired,
    KeyNotYetValid,
    KeyRevoked,
    SignatureShape,
    UnknownKey,
    WrongMemberKey,
)
from broker.core.ids import CountryCode, Digest
from broker.core.trust import KeyUse, Member
from broker.security.checkpoints import (
    CHECKPOINT,
    EXPORT,
    check_statement,
    peek_checkpoint,
    read_checkpoint,
    read_statement,
    sign_checkpoint,
    sign_statement,
)

EE, FI = CountryCode("EE"), CountryCode("FI")


@pytest.fixture
def checkpoint(world: Any) -> Checkpoint:
    """Estonia's head at a place."""
    return Checkpoint(country=EE, head=Head(position=17, chain=Digest("a" * 64)), at=world.now, trust_version=7)


def test_what_a_member_signed_reads_back(world: Any, checkpoint: Checkpoint) -> None:
    """Both signatures verify against the member's keys; the stored bytes are canonical."""
    kept = sign_checkpoint(checkpoint, world.ee.signer)
    assert read_checkpoint(kept.raw, world.ee.member(EE)) == peek_checkpoint(kept.raw) == checkpoint
    assert (kept.head, kept.at, kept.cut) == (checkpoint.head, checkpoint.at, False)
    assert canonical.dump(json.loads(kept.raw)) == kept.raw


def test_another_members_keys_prove_nothing(world: Any, checkpoint: Checkpoint) -> None:
    """A checkpoint is about the trail of the country whose keys signed it, and no other."""
    with pytest.raises(UnknownKey):
        read_checkpoint(sign_checkpoint(checkpoint, world.fi.signer).raw, world.ee.member(EE))
    with pytest.raises(WrongMemberKey):
        read_checkpoint(sign_checkpoint(replace(checkpoint, country=FI), world.ee.signer).raw, world.ee.member(EE))


@pytest.mark.parametrize(
    ("days", "revoked", "error"),
    [(-2, None, KeyNotYetValid), (170, None, KeyExpired), (5, 4, KeyRevoked), (5, 6, None), (100, None, None)],
)
def test_keys_are_judged_at_the_time_of_the_checkpoint(
    world: Any, checkpoint: Checkpoint, days: int, revoked: int | None, error: type[BrokerError] | None
) -> None:
    """A key that is revoked later still proves what it signed before."""
    ended = None if revoked is None else world.now + timedelta(days=revoked)
    member = Member(country=EE, keys=tuple(replace(key, revoked_at=ended) for key in world.ee.listed.values()))
    kept = sign_checkpoint(replace(checkpoint, at=world.now + timedelta(days=days)), world.ee.signer)
    if error is None:
        assert read_checkpoint(kept.raw, member).at == kept.at
    else:
        with pytest.raises(error):
            read_checkpoint(kept.raw, member)


def test_a_signature_for_something_else_is_refused(world: Any, checkpoint: Checkpoint) -> None:
    """The type in the signed headers keeps a checkpoint and an export apart."""
    raw = sign_statement(checkpoint.payload(), EXPORT, world.ee.signer)
    assert read_statement(raw, EXPORT).payload == checkpoint.payload()
    with pytest.raises(SignatureShape):
        read_checkpoint(raw, world.ee.member(EE))


def _payload(jws: Any) -> None:
    jws["payload"] = canonical.b64url_encode(
        canonical.b64url_decode(jws["payload"]).replace(b'"position":17', b'"position":18')
    )


def _swap(jws: Any) -> None:
    jws["signatures"].reverse()


def _drop(jws: Any) -> None:
    del jws["signatures"][1]


def _flip(number: int) -> Callable[[Any], None]:
    def flip(jws: Any) -> None:
        value = bytearray(canonical.b64url_decode(jws["signatures"][number]["signature"]))
        value[0] ^= 1
        jws["signatures"][number]["signature"] = canonical.b64url_encode(bytes(value))

    return flip


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_payload, BadSignature), (_flip(0), BadSignature), (_flip(1), BadSignature), (_swap, SignatureShape),
        (_drop, SignatureShape), (lambda jws: jws.update(more=1), SignatureShape),
        (lambda jws: jws["signatures"][0].update(header={}), SignatureShape),
        (lambda jws: jws["signatures"][0].update(signature="AA"), SignatureShape),
        (lambda jws: jws["signatures"][0].update(protected="A"), SignatureShape),
        (lambda jws: jws.update(payload=17), SignatureShape),
    ],
)  # fmt: skip
def test_one_changed_bit_is_refused(
    world: Any, checkpoint: Checkpoint, change: Callable[[Any], object], error: type[BrokerError]
) -> None:
    """Each of the two signatures is needed, over exactly this payload, in one shape."""
    jws = json.loads(sign_checkpoint(checkpoint, world.ee.signer).raw)
    change(jws)
    with pytest.raises(error):
        read_checkpoint(canonical.dump(jws), world.ee.member(EE))


_PLACES = (
    (), ("payload",), ("signatures",), ("signatures", 0), ("signatures", 1), ("signatures", 0, "protected"), ("signatures", 1, "signature"),
)  # fmt: skip


@pytest.mark.parametrize("place", _PLACES, ids=str)
@pytest.mark.parametrize("value", [None, 17, True, "", "=", [], {}, ["a", "b"], {"a": 1}], ids=str)
def test_another_shape_anywhere_is_refused(
    world: Any, checkpoint: Checkpoint, place: tuple[Any, ...], value: Any
) -> None:
    """Whatever stands in the place of a member, the error is the one for its shape."""
    jws: Any = {"whole": json.loads(sign_checkpoint(checkpoint, world.ee.signer).raw)}
    *way, last = ("whole", *place)
    inner = jws
    for step in way:
        inner = inner[step]
    inner[last] = value
    with pytest.raises(SignatureShape):
        read_statement(canonical.dump(jws["whole"]), CHECKPOINT)


@pytest.mark.parametrize(
    "header",
    [
        [], 17, "text", {}, {"alg": "Ed25519", "kid": "a" * 43}, {"alg": "Ed25519", "kid": 17, "typ": CHECKPOINT},
        {"alg": "Ed25519", "kid": "short", "typ": CHECKPOINT}, {"alg": "ML-DSA-65", "kid": "a" * 43, "typ": CHECKPOINT},
        {"alg": "Ed25519", "kid": "a" * 43, "typ": CHECKPOINT, "crit": []},
    ],
    ids=str,
)  # fmt: skip
def test_another_header_of_a_signature_is_refused(world: Any, checkpoint: Checkpoint, header: Any) -> None:
    """A signature says its algorithm, its key and what it is for, and nothing else."""
    jws = json.loads(sign_checkpoint(checkpoint, world.ee.signer).raw)
    jws["signatures"][0]["protected"] = canonical.b64url_encode(canonical.dump(header))
    with pytest.raises(SignatureShape):
        read_statement(canonical.dump(jws), CHECKPOINT)


def test_a_key_of_another_use_is_refused(world: Any, checkpoint: Checkpoint) -> None:
    """A listed key proves only what its use allows."""
    statement = read_statement(sign_checkpoint(checkpoint, world.ee.signer).raw, CHECKPOINT)
    keys = [replace(key, use=KeyUse.HPKE) for key in world.ee.listed.values()]
    with pytest.raises(WrongMemberKey):
        check_statement(statement, Member(country=EE, keys=tuple(keys)), at=world.now)
