# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about encryption to one office. What each check refuses is in the vectors of sealed parts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core import canonical
from broker.core.errors import DecryptFailed, EnvelopeHeader, TooLargeToSend, TrustListInvalid, UntrustedError
from broker.security import nested
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


@pytest.mark.parametrize("size", [0, 1, 4_080, 4_096, 5_000, 250_000])
def test_what_is_sealed_opens_and_its_length_says_little(size: int) -> None:
    """A word and a page have one length; each length doubles the one before."""
    value = {"a": "x" * size}
    members = sealed(canonical.dump(value))
    assert opened(members) == value
    assert len(canonical.b64url_decode(members["ciphertext"])) in PART_LENGTHS


def test_the_same_part_is_never_sealed_to_the_same_bytes() -> None:
    """Key, nonce and encapsulation are fresh."""
    one, two = sealed(), sealed()
    assert all(one[name] != two[name] for name in one)


def test_too_much_for_a_part_is_refused() -> None:
    """It goes as an attachment."""
    with pytest.raises(TooLargeToSend):
        sealed(b"{" + b" " * PART_LENGTHS[-1] + b"}")


def test_a_key_that_is_none_is_the_lists_fault() -> None:
    """Nothing is sealed to what cannot be opened."""
    with pytest.raises(TrustListInvalid):
        nested.seal_to_office(
            b"{}", kind=NestedKind.PART, kid=KEY.kid, public=b"short", profile=PROFILE, lengths=PART_LENGTHS
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


GOOD = sealed()


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
