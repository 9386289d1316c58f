# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealing, opening and verifying; each refusal has its vector, here stand the ways that vectors cannot show."""

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core import canonical
from broker.core.errors import (
    BadSignature,
    BrokerError,
    ClockAhead,
    DecryptFailed,
    Expired,
    ExpiryTooFar,
    KeyExpired,
    KeyRevoked,
    NotForUs,
    TooLargeToSend,
    TrustListInvalid,
    UnknownRecipientKey,
    UntrustedError,
)
from broker.core.ids import CountryCode
from broker.core.messages import SealedEnvelope
from broker.core.trust import KeyUse, Member, TrustList
from broker.security import envelope as wire
from broker.security import sealing
from broker.security.suite import KeyRing

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")


def _seal(world: Any, content: bytes | None = None, **changes: Any) -> SealedEnvelope:
    parts = {
        "profile": world.profile,
        "signer": world.ee.signer,
        "recipient": world.fi.listed[KeyUse.HPKE],
        "trust_version": 7,
    }
    return sealing.seal(world.content if content is None else content, **{**parts, **changes})


def _open(world: Any, raw: bytes) -> sealing.OpenedMessage:
    return sealing.open_envelope(wire.parse(raw), world.fi.ring, us=FI)


def test_what_was_sealed_is_opened_and_verified(world: Any) -> None:
    """The content comes out byte for byte, with who signed it and how it was judged."""
    sealed = _seal(world)
    verified = sealing.verify(_open(world, sealed.raw), world.trust, now=world.now)

    assert verified.content == world.content
    assert verified.digest == canonical.digest(world.content)
    assert (verified.sender, verified.profile, verified.body) == (EE, world.profile, world.body)
    assert verified.signer_kids == sealed.signer_kids
    assert verified.recipient_kid == sealed.recipient_kid == world.fi.listed[KeyUse.HPKE].kid
    assert (verified.trust_version, verified.received) == (7, world.now)


def test_the_sealed_envelope_says_what_it_is(world: Any) -> None:
    """Its digest is of its bytes, its expiry the profile's."""
    sealed = _seal(world)

    assert sealed.sha256 == canonical.digest(sealed.raw)
    assert (sealed.id, sealed.sender, sealed.recipient) == (world.profile.id, EE, FI)
    assert int(sealed.expires.timestamp()) == world.profile.expires
    assert sealed.expires.utcoffset() == timedelta(0)


def test_nothing_of_the_content_shows_outside(world: Any) -> None:
    """Neither the content nor its base64url is in the envelope, and two sealings share no cryptographic field."""
    first, second = (wire.parse(_seal(world).raw) for _ in range(2))

    assert b"Maarika" not in first.ciphertext
    assert canonical.b64url_encode(world.content)[:40].encode() not in first.ciphertext
    for name in ("ek", "encrypted_key", "iv", "ciphertext", "tag"):
        assert getattr(first, name) != getattr(second, name)


def test_short_and_ordinary_messages_have_one_length(world: Any) -> None:
    """The length does not tell the kind of message."""
    assert len(_seal(world, b"{}").raw) == len(_seal(world).raw) == len(_seal(world, b"x" * 8000).raw)


def test_too_large_a_content_is_not_sealed(world: Any) -> None:
    """What does not fit 1 MiB signed and encoded goes as attachment; the limit for composing still fits."""
    with pytest.raises(TooLargeToSend):
        _seal(world, b"x" * 783_000)
    assert len(_seal(world, b"x" * wire.MAX_CONTENT).raw) <= wire.MAX_ENVELOPE


def test_sealing_to_what_is_no_key_blames_the_trust_list(world: Any) -> None:
    """A listed key that does not load, or shares no secret with anybody, is the federation's fault, not the author's."""
    listed = world.fi.listed[KeyUse.HPKE]
    for public in (b"x", listed.public[:-32] + bytes(32)):
        with pytest.raises(TrustListInvalid):
            _seal(world, recipient=replace(listed, public=public))


def test_a_listed_key_that_does_not_load_blames_the_trust_list(world: Any) -> None:
    """The message is neither believed nor refused."""
    opened = _open(world, _seal(world).raw)
    keys = tuple(replace(key, public=b"x") for key in world.ee.listed.values())
    trust = TrustList(version=7, members={EE: Member(country=EE, keys=keys)})

    with pytest.raises(TrustListInvalid):
        sealing.verify(opened, trust, now=world.now)


def test_another_member_cannot_open_it(world: Any) -> None:
    """Not by its own name, nor with keys of its own, nor with no key."""
    envelope = wire.parse(_seal(world).raw)

    with pytest.raises(NotForUs):
        sealing.open_envelope(envelope, world.fi.ring, us=SE)
    with pytest.raises(UnknownRecipientKey):
        sealing.open_envelope(envelope, world.ee.ring, us=FI)
    with pytest.raises(UnknownRecipientKey):
        sealing.open_envelope(envelope, KeyRing({}), us=FI)


def test_an_opener_that_gives_a_short_content_key_is_not_trusted(world: Any) -> None:
    """AES would take 16 bytes without a word."""

    class ShortKeys:
        def holds(self, kid: str) -> bool:
            return True

        def open(self, kid: str, **_fields: bytes) -> bytes:
            return bytes(16)

    with pytest.raises(DecryptFailed):
        sealing.open_envelope(wire.parse(_seal(world).raw), ShortKeys(), us=FI)


def test_keys_are_judged_at_reception(world: Any) -> None:
    """The same bytes are believed today, no longer after accept_until, nor by a list that revokes the key."""
    opened = _open(world, _seal(world).raw)
    key = world.ee.listed[KeyUse.ML_DSA_65]
    others = [other for other in world.ee.listed.values() if other is not key]
    revoked = Member(country=EE, keys=(*others, replace(key, revoked_at=world.now)))

    assert sealing.verify(opened, world.trust, now=key.accept_until - timedelta(seconds=1)).sender == EE
    with pytest.raises(KeyExpired):
        sealing.verify(opened, world.trust, now=key.accept_until)
    with pytest.raises(KeyRevoked):
        sealing.verify(opened, TrustList(version=8, members={EE: revoked}), now=world.now)


def test_a_member_that_lists_anothers_key_does_not_shut_it_out(world: Any) -> None:
    """A key speaks for the stated sender where that one lists it, whoever else does."""
    claimant = Member(country=SE, keys=tuple(world.ee.listed.values()))
    trust = TrustList(version=8, members={SE: claimant, **world.trust.members})

    assert sealing.verify(_open(world, _seal(world).raw), trust, now=world.now).sender == EE


def test_both_signatures_must_verify(world: Any) -> None:
    """One good signature does not make up for one that is not."""
    opened = _open(world, _seal(world).raw)
    signed = wire.parse_jws(opened.signed)
    keys = sealing.find_sender_keys(opened.profile, signed, world.trust, now=world.now)

    assert sealing.check_signatures(signed, keys) is None
    for name in ("ed25519", "ml_dsa"):
        signature = getattr(signed, name)
        forged = replace(signed, **{name: replace(signature, value=os.urandom(len(signature.value)))})
        with pytest.raises(BadSignature):
            sealing.check_signatures(forged, keys)


@pytest.mark.parametrize(
    ("shift", "error"),
    [
        (timedelta(0), None),
        (timedelta(days=30, milliseconds=-1), None),
        (timedelta(days=30), Expired),
        (timedelta(minutes=-10), None),
        (timedelta(minutes=-10, milliseconds=-1), ClockAhead),
    ],
)
def test_times_are_judged_to_the_millisecond(world: Any, shift: timedelta, error: type[BrokerError] | None) -> None:
    """Expired from the second of the expiry on; ahead beyond ten minutes."""
    content = sealing.read_content(wire.parse_jws(_open(world, _seal(world).raw).signed))

    def judge() -> None:
        sealing.check_times(content, world.profile, now=world.now + shift)

    if error is None:
        judge()
    else:
        with pytest.raises(error):
            judge()


def test_an_expiry_beyond_the_longest_life_is_refused(world: Any) -> None:
    """A replay must not stay believable for years."""
    content = sealing.Content(header={}, body={})
    limit = int((world.now + sealing.LONGEST_LIFE + sealing.CLOCK_TOLERANCE).timestamp())

    sealing.check_times(content, replace(world.profile, expires=limit), now=world.now)
    with pytest.raises(ExpiryTooFar):
        sealing.check_times(content, replace(world.profile, expires=limit + 1), now=world.now)


@pytest.mark.parametrize("created", [None, 5, "", "tomorrow", "2126-01-01", ["2126-01-01T00:00:00.000Z"]])
def test_a_time_of_creation_without_its_form_is_left_to_the_schema(world: Any, created: Any) -> None:
    """The author hears that the header is invalid, which a clock that is ahead would not tell."""
    content = sealing.Content(header={"created": created}, body={})

    assert sealing.check_times(content, world.profile, now=world.now) is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_byte_is_believed(world: Any, data: st.DataObject) -> None:
    """Whatever byte of an envelope is changed, to whatever, it is refused with a documented error."""
    raw = bytearray(_seal(world).raw)
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(UntrustedError):
        sealing.verify(_open(world, bytes(raw)), world.trust, now=world.now)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plaintext=st.binary(max_size=200) | st.text(max_size=60).map(lambda text: text.encode()))
def test_any_signed_bytes_are_believed_or_a_documented_error(world: Any, plaintext: bytes) -> None:
    """What an honest key encrypts may be anything at all."""
    opened = sealing.OpenedMessage(
        profile=world.profile, profile_bytes=wire.profile_bytes(world.profile), recipient_kid="A" * 43, signed=plaintext
    )

    with pytest.raises(UntrustedError):
        sealing.verify(opened, world.trust, now=world.now)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300) | st.text(max_size=80).map(lambda text: text.encode()))
def test_any_content_that_a_member_signs_is_believed_or_a_documented_error(world: Any, content: bytes) -> None:
    """A member may sign nonsense; nothing but our errors comes of it."""
    opened = _open(world, _seal(world, content).raw)

    with pytest.raises(UntrustedError):
        sealing.verify(opened, world.trust, now=world.now)
