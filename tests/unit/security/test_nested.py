# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about encryption to one office. What each check refuses is in the vectors of sealed parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core import canonical
from broker.core.errors import DecryptFailed, EnvelopeHeader, TooLargeToSend, TrustListInvalid, UntrustedError
from broker.security import nested, primitives, suite
from broker.security.nested import PART_LENGTHS, NestedKind
from broker.testing.offices import authority_key, office, opener_of

DESK = office("FI/desk")
KEY = authority_key(DESK)
PROFILE = {"place": "/a", "v": 1}


def sealed(plain: bytes = b'{"a":1}', kind: NestedKind = NestedKind.PART) -> dict[str, Any]:
    """Return the members of an encryption to the desk."""
    return nested.seal_to_office(
        plain, kind=kind, kid=KEY.kid, public=KEY.public, profile=PROFILE, lengths=PART_LENGTHS
    )


def opened(members: Any) -> Any:
    """Return what the desk reads."""
    parsed = nested.parse(members, kind=NestedKind.PART)
    nested.check_lengths(parsed, PART_LENGTHS)
    nested.check_belongs(parsed, PROFILE)
    return nested.unpadded(nested.decrypt(parsed, opener_of(DESK)), PART_LENGTHS)


GOOD = sealed()


@pytest.mark.parametrize("size", [0, 1, 4_080, 4_096, 5_000, 250_000])
def test_what_is_sealed_opens_and_its_length_says_little(size: int) -> None:
    """A word and a page have one length; each length doubles the one before."""
    value = {"a": "x" * size}
    members = sealed(canonical.dump(value))
    assert opened(members) == value
    assert len(canonical.b64url_decode(members["ciphertext"])) in PART_LENGTHS


@pytest.mark.parametrize("length", PART_LENGTHS[:2])
def test_what_fits_a_length_exactly_has_that_length(length: int) -> None:
    """There are no spaces then, and one byte more takes the next length."""
    for more, expected in ((0, length), (1, 2 * length)):
        value = {"a": "x" * (length - len('{"a":""}') + more)}
        members = sealed(canonical.dump(value))
        assert len(canonical.b64url_decode(members["ciphertext"])) == expected
        assert opened(members) == value


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "HPKE-0"}, {"crit": []}, {"enc": "A128GCM"}, {"typ": "trm+file"}, {"kid": 17}, {"kid": "short"}, {"ek": 17},
        {"ek": "="}, {"ek": []}, {"ek": {}}, {"kid": []}, {"trm": "text"}, {"trm": [1]}, {"zip": "DEF"},
    ],
    ids=str,
)  # fmt: skip
def test_another_protected_header_is_refused(change: dict[str, Any]) -> None:
    """Each member has its one value or form, and there is no further one."""
    header = json.loads(canonical.b64url_decode(GOOD["protected"])) | change
    protected = canonical.b64url_encode(canonical.dump(header))
    with pytest.raises(EnvelopeHeader):
        nested.parse({**GOOD, "protected": protected}, kind=NestedKind.PART)


@pytest.mark.parametrize("header", [[], 17, "text", {}])
def test_a_protected_header_that_is_no_such_object_is_refused(header: Any) -> None:
    """Nothing of it is read."""
    with pytest.raises(EnvelopeHeader):
        nested.parse({**GOOD, "protected": canonical.b64url_encode(canonical.dump(header))}, kind=NestedKind.PART)


def test_a_shorter_content_key_is_refused() -> None:
    """AES would take it, and the promise is 256 bits."""
    short, iv = b"k" * 16, canonical.b64url_decode(GOOD["iv"])
    sealed_key = suite.hpke().encrypt(short, primitives.hpke_public(KEY.public), suite.HPKE_INFO)
    header = json.loads(canonical.b64url_decode(GOOD["protected"])) | {
        "ek": canonical.b64url_encode(sealed_key[: suite.EK_LENGTH])
    }
    protected = canonical.b64url_encode(canonical.dump(header))
    encrypted = AESGCM(short).encrypt(iv, b'{"a":1}'.ljust(PART_LENGTHS[0]), protected.encode("ascii"))
    parsed = nested.parse(
        {
            **GOOD,
            "protected": protected,
            "encrypted_key": canonical.b64url_encode(sealed_key[suite.EK_LENGTH :]),
            "ciphertext": canonical.b64url_encode(encrypted[:-16]),
            "tag": canonical.b64url_encode(encrypted[-16:]),
        },
        kind=NestedKind.PART,
    )
    with pytest.raises(DecryptFailed):
        nested.decrypt(parsed, opener_of(DESK))


def test_the_same_part_is_never_sealed_to_the_same_bytes() -> None:
    """Key, nonce and encapsulation are fresh."""
    one, two = sealed(), sealed()
    assert all(one[name] != two[name] for name in one)


def test_too_much_for_a_part_is_refused() -> None:
    """It goes as an attachment."""
    with pytest.raises(TooLargeToSend):
        sealed(b"{" + b" " * PART_LENGTHS[-1] + b"}")


def test_a_key_that_is_none_is_the_lists_fault() -> None:
    """Nothing is sealed to what cannot be opened, or shares no secret with anybody."""
    for public in (b"short", KEY.public[:-32] + bytes(32)):
        with pytest.raises(TrustListInvalid):
            nested.seal_to_office(
                b"{}", kind=NestedKind.PART, kid=KEY.kid, public=public, profile=PROFILE, lengths=PART_LENGTHS
            )


def test_a_file_does_not_pass_for_a_part() -> None:
    """Nor the other way round: what it is stands in the authenticated header."""
    with pytest.raises(EnvelopeHeader):
        opened(sealed(kind=NestedKind.FILE))


@settings(max_examples=25)
@given(st.sampled_from(["ciphertext", "encrypted_key", "iv", "protected", "tag"]), st.data())
def test_a_changed_byte_anywhere_is_refused(name: str, data: st.DataObject) -> None:
    """No bit of it can be turned."""
    members = dict(GOOD)
    raw = bytearray(canonical.b64url_decode(members[name]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    members[name] = canonical.b64url_encode(bytes(raw))
    with pytest.raises(UntrustedError):
        opened(members)


def test_another_offices_key_does_not_open_it() -> None:
    """Not even where somebody names its key."""
    parsed = nested.parse(sealed(), kind=NestedKind.PART)
    ring = opener_of(office("FI/court"))
    with pytest.raises(UntrustedError):
        nested.decrypt(parsed, ring)

    class Renamed:
        """A ring that takes every key for its own."""

        def holds(self, kid: object) -> bool:
            return True

        def open(self, kid: object, *, ek: bytes, ciphertext: bytes, info: bytes) -> bytes:
            return ring.open(authority_key(office("FI/court")).kid, ek=ek, ciphertext=ciphertext, info=info)

    with pytest.raises(DecryptFailed):
        nested.decrypt(parsed, Renamed())
