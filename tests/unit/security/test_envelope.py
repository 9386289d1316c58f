# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The wire format: one shape, written and read; whatever the bytes, an envelope or a documented error."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core import canonical
from broker.core.errors import (
    EnvelopeHeader,
    EnvelopeMembers,
    FieldLength,
    HeaderMismatch,
    NotCanonical,
    Padding,
    SignatureShape,
    TooLarge,
    TooLargeToSend,
    UnsupportedEnvelopeVersion,
)
from broker.core.ids import CountryCode, KeyId, MessageId
from broker.core.messages import ProfileHeader
from broker.core.trust import KeyUse
from broker.security import envelope as wire
from broker.security import suite

KID = KeyId("A" * 43)
PROFILE = ProfileHeader(
    sender=CountryCode("EE"),
    recipient=CountryCode("FI"),
    id=MessageId("019aa9c1-7c00-7abc-8def-0123456789ab"),
    expires=1_800_000_000,
    exercise=False,
)
TRM = wire.profile_bytes(PROFILE)
EK = bytes(suite.EK_LENGTH)
PARSER_ERRORS = (TooLarge, NotCanonical, EnvelopeMembers, EnvelopeHeader, UnsupportedEnvelopeVersion)


def _written(**fields: bytes) -> bytes:
    shape = {"encrypted_key": bytes(48), "iv": bytes(12), "ciphertext": b"c" * 16384, "tag": bytes(16), **fields}
    return wire.write_jwe(wire.protected_jwe(KID, EK, TRM), **shape)


def _signed(content: bytes = b"{}", trm: bytes = TRM) -> bytes:
    payload = canonical.b64url_encode(content)
    heads = [wire.protected_jws(use, KID, trm) for use in suite.SIGNATURES]
    return wire.write_jws(payload, list(zip(heads, map(bytes, suite.SIGNATURE_LENGTHS), strict=True)))


def test_what_is_written_is_canonical_and_comes_back() -> None:
    """Writing and parsing give the same fields, and the writer needs no second pass."""
    raw = _written()
    envelope = wire.parse(raw)

    assert canonical.parse(raw) == json.loads(raw)
    assert (envelope.profile, envelope.profile_bytes, envelope.recipient_kid) == (PROFILE, TRM, KID)
    assert (envelope.ek, envelope.iv, envelope.ciphertext[:1]) == (EK, bytes(12), b"c")
    assert envelope.aad == json.loads(raw)["protected"].encode()


def test_the_profile_has_the_six_members_of_version_one() -> None:
    """The bytes stand in PROTOCOL 3.1."""
    expected = (
        b'{"exercise":false,"exp":1800000000,"from":"EE","id":"019aa9c1-7c00-7abc-8def-0123456789ab","to":"FI","v":1}'
    )

    assert expected == TRM


def test_size_is_checked_before_anything_is_parsed() -> None:
    """One byte more than allowed is refused, whatever the bytes; as many as allowed get to the parser."""
    with pytest.raises(TooLarge):
        wire.parse(b" " * (wire.MAX_ENVELOPE + 1))
    with pytest.raises(NotCanonical):
        wire.parse(b" " * wire.MAX_ENVELOPE)


def test_the_largest_content_fits_the_largest_envelope() -> None:
    """The limit for composing leaves room for every header that version 1 can have."""
    longest = wire.profile_bytes(
        ProfileHeader(
            sender=PROFILE.sender, recipient=PROFILE.recipient, id=PROFILE.id, expires=2**53 - 1, exercise=False
        )
    )
    padded = wire.pad(_signed(b"x" * wire.MAX_CONTENT, longest))
    raw = wire.write_jwe(
        wire.protected_jwe(KID, EK, longest), encrypted_key=bytes(48), iv=bytes(12), ciphertext=padded, tag=bytes(16)
    )

    assert len(padded) == wire.PADDED_LENGTHS[-1]
    assert len(raw) <= wire.MAX_ENVELOPE


@pytest.mark.parametrize("field", ["encrypted_key", "iv", "tag"])
def test_fields_of_another_length_are_refused_by_their_own_check(field: str) -> None:
    """Parsing takes them, because other checks come first."""
    envelope = wire.parse(_written(**{field: b"x"}))

    with pytest.raises(FieldLength):
        wire.check_lengths(envelope)
    assert wire.check_lengths(wire.parse(_written())) is None


def test_padding_goes_to_the_smallest_sufficient_length() -> None:
    """Lengths are 16 KiB times a power of two, and what was padded comes back."""
    for length in (2, 16383, 16384, 16385, 32768, 2**20):
        signed = b"{" + b"x" * (length - 2) + b"}"
        padded = wire.pad(signed)

        assert len(padded) == next(size for size in wire.PADDED_LENGTHS if size >= length)
        assert wire.unpad(padded) == signed


def test_what_does_not_fit_is_not_padded() -> None:
    """One byte more than 1 MiB is too large to send."""
    with pytest.raises(TooLargeToSend):
        wire.pad(b"x" * (2**20 + 1))


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"{}",
        b" " * 16384,
        b"{}".ljust(16383),
        b"{}".ljust(32768),
        b"{}".ljust(16384, b"\0"),
        b"{".ljust(2**21, b"}"),
    ],
    ids=["empty", "none", "only spaces", "short", "long", "zeros", "two MiB"],
)
def test_any_other_padding_is_refused(plaintext: bytes) -> None:
    """Nothing but spaces, and no other length, so that nobody can hide anything in it."""
    with pytest.raises(Padding):
        wire.unpad(plaintext)


def test_the_signed_object_comes_back() -> None:
    """Content, key ids and the exact bytes that each signature is over."""
    signed = wire.parse_jws(_signed(b'{"a":1}'))
    head = wire.protected_jws(KeyUse.ED25519, KID, TRM)

    assert signed.content == b'{"a":1}'
    assert signed.ed25519.signing_input == f"{head}.eyJhIjoxfQ".encode()
    assert (signed.ed25519.kid, len(signed.ml_dsa.value)) == (KID, 3309)
    assert wire.check_same_profile(signed, TRM) is None


def test_another_profile_in_a_signature_is_refused() -> None:
    """The signature is bound to one envelope's sender, recipient, id, expiry and exercise mark."""
    other = TRM.replace(b"FI", b"SE")
    signed = wire.parse_jws(_signed())

    with pytest.raises(HeaderMismatch):
        wire.check_same_profile(signed, other)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_an_envelope_or_a_documented_error(raw: bytes) -> None:
    """Nothing else escapes from the parser, the padding or the signed object."""
    with pytest.raises(PARSER_ERRORS):
        wire.parse(raw)
    with pytest.raises(Padding):
        wire.unpad(raw)
    with pytest.raises((NotCanonical, SignatureShape)):
        wire.parse_jws(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4) | st.sampled_from(["AA", "trm", "EE", KID]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["alg", "trm", "v", "exp"]), inner),
    max_leaves=6,
)
member_names = st.sampled_from(["ciphertext", "encrypted_key", "iv", "protected", "tag", "recipients", "aad"])


@settings(max_examples=80, deadline=None)
@given(changes=st.dictionaries(member_names, json_values, min_size=1, max_size=2))
def test_any_change_of_the_outer_members_is_an_envelope_or_a_documented_error(changes: dict[str, object]) -> None:
    """Well-formed JSON around a member of any kind."""
    raw = canonical.dump({**json.loads(_written()), **changes})

    try:
        envelope = wire.parse(raw)
    except PARSER_ERRORS:
        return
    assert envelope.profile == PROFILE


@settings(max_examples=100, deadline=None)
@given(
    header=st.dictionaries(st.sampled_from(["alg", "crit", "ek", "enc", "kid", "typ", "zip"]), json_values, max_size=2),
    trm=st.dictionaries(st.sampled_from(["exercise", "exp", "from", "id", "to", "v", "x"]), json_values, max_size=2),
)
def test_any_protected_header_is_the_fixed_shape_or_a_documented_error(
    header: dict[str, object], trm: dict[str, object]
) -> None:
    """Well-formed headers with members of any kind, in the encryption and in both signatures."""
    whole = json.loads(_written())
    decoded = json.loads(canonical.b64url_decode(whole["protected"]))
    changed = {**decoded, "trm": {**decoded["trm"], **trm}, **header}
    raw = canonical.dump({**whole, "protected": canonical.b64url_encode(canonical.dump(changed))})

    try:
        envelope = wire.parse(raw)
    except (EnvelopeHeader, UnsupportedEnvelopeVersion):
        return
    assert canonical.parse(envelope.profile_bytes) == changed["trm"]
    assert wire.profile_bytes(envelope.profile) == envelope.profile_bytes


@settings(max_examples=100, deadline=None)
@given(
    header=st.dictionaries(st.sampled_from(["alg", "crit", "kid", "trm", "typ", "b64"]), json_values, max_size=2),
    item=st.dictionaries(st.sampled_from(["protected", "signature", "header"]), json_values, max_size=1),
)
def test_any_signed_object_is_the_fixed_shape_or_a_documented_error(
    header: dict[str, object], item: dict[str, object]
) -> None:
    """Well-formed signature headers with members of any kind."""
    jws = json.loads(_signed())
    first = jws["signatures"][0]
    decoded = json.loads(canonical.b64url_decode(first["protected"]))
    changed = canonical.b64url_encode(canonical.dump({**decoded, **header}))
    jws["signatures"][0] = {**first, "protected": changed, **item}

    try:
        signed = wire.parse_jws(canonical.dump(jws))
    except (NotCanonical, SignatureShape):
        return
    assert signed.ml_dsa.kid == KID


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_changed_byte_never_passes_unseen(data: st.DataObject) -> None:
    """An envelope with one byte changed is refused, or differs in what was changed."""
    raw = bytearray(_written())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))

    try:
        envelope = wire.parse(bytes(raw))
    except PARSER_ERRORS:
        return
    assert envelope != wire.parse(_written())


@pytest.mark.parametrize(
    "signed", [[], 17, {"payload": "e30", "signatures": 17}, {"payload": "e30", "signatures": None}]
)
def test_a_signed_object_of_another_type_has_another_shape(signed: object) -> None:
    """Whoever signs may write anything; no other error than the one for its shape comes of it."""
    with pytest.raises(SignatureShape):
        wire.parse_jws(canonical.dump(signed))
