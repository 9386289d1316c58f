# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Encryption to one office: the envelope's own shape inside a message, or at the head of a file (PROTOCOL 16.2).

- It hides; it does not prove who sealed: whatever stands in a message is signed by its country, and by that alone.
- The profile header says where the thing belongs; who opens holds it against where the thing was found.
- Each check is a function of its own, in the order that is normative; the code that comes out says which one it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core import canonical
from broker.core.errors import (
    DecryptFailed,
    EnvelopeHeader,
    EnvelopeMembers,
    FieldLength,
    HeaderMismatch,
    Padding,
    TooLargeToSend,
    TrustListInvalid,
    UnknownRecipientKey,
)
from broker.core.ids import KeyId
from broker.core.sealed_parts import is_sealed_part
from broker.security import envelope, primitives, suite
from broker.security.suite import Opener

__all__ = [
    "PART_LENGTHS", "Nested", "NestedKind", "check_belongs", "check_lengths", "decrypt", "parse", "parse_part", "seal_to_office", "unpadded",
]  # fmt: skip

PART_LENGTHS = tuple(4096 * 2**n for n in range(7))  # bytes, 4 KiB … 256 KiB
_HEADER = {"alg", "crit", "ek", "enc", "kid", "trm", "typ"}


class NestedKind(StrEnum):
    """What is encrypted; stands in ``typ``, so that one never passes for the other."""

    PART = "trm+part"
    FILE = "trm+file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """A parsed encryption to an office; nothing in it is believed."""

    kid: KeyId
    profile: Mapping[str, Any]
    protected: str  # base64url as it stands; its ASCII bytes are the AAD
    ek: bytes
    encrypted_key: bytes
    iv: bytes
    ciphertext: bytes
    tag: bytes


def seal_to_office(
    plain: bytes, *, kind: NestedKind, kid: KeyId, public: bytes, profile: Mapping[str, Any], lengths: tuple[int, ...]
) -> dict[str, Any]:
    """Return the five members that hold an object's canonical bytes, padded and encrypted to a public key.

    Raises:
        TooLargeToSend: it does not fit the largest of the lengths.
        TrustListInvalid: the key is not a public encryption key.
    """
    length = next((length for length in lengths if len(plain) <= length), None)
    if length is None:
        raise TooLargeToSend("A sealed part is larger than any may be; send it as a sealed attachment.")
    content_key, iv = secrets.token_bytes(suite.CONTENT_KEY_LENGTH), secrets.token_bytes(suite.IV_LENGTH)
    try:
        sealed = suite.hpke().encrypt(content_key, primitives.hpke_public(public), suite.HPKE_INFO)
    except ValueError:
        raise TrustListInvalid("An office's key is not a public encryption key.") from None
    header = {
        "alg": suite.KEY_ENCRYPTION,
        "crit": ["trm"],
        "ek": canonical.b64url_encode(sealed[: suite.EK_LENGTH]),
        "enc": suite.ENCRYPTION,
        "kid": str(kid),
        "trm": profile,
        "typ": kind.value,
    }
    protected = canonical.b64url_encode(canonical.dump(header))
    encrypted = AESGCM(content_key).encrypt(iv, plain.ljust(length), protected.encode("ascii"))
    return {
        "ciphertext": canonical.b64url_encode(encrypted[: -suite.TAG_LENGTH]),
        "encrypted_key": canonical.b64url_encode(sealed[suite.EK_LENGTH :]),
        "iv": canonical.b64url_encode(iv),
        "protected": protected,
        "tag": canonical.b64url_encode(encrypted[-suite.TAG_LENGTH :]),
    }


def parse(members: Any, *, kind: NestedKind) -> Nested:
    """Return an encryption of that kind, its syntax checked (PROTOCOL 16.4, first two checks).

    Raises:
        EnvelopeMembers: not exactly the five members.
        NotCanonical, EnvelopeHeader: the protected header is not of its one shape.
    """
    taken = envelope.take_members(members)
    header = canonical.parse(taken.header)
    fixed = {"alg": suite.KEY_ENCRYPTION, "crit": ["trm"], "enc": suite.ENCRYPTION, "typ": kind.value}
    if not isinstance(header, dict) or header.keys() != _HEADER or not isinstance(header["trm"], dict):
        raise EnvelopeHeader
    if any(header[name] != value for name, value in fixed.items()) or not isinstance(header["ek"], str):
        raise EnvelopeHeader
    try:
        kid, ek = KeyId(header["kid"]), canonical.b64url_decode(header["ek"])
    except (ValueError, TypeError):
        raise EnvelopeHeader from None
    return Nested(
        kid=kid,
        profile=header["trm"],
        protected=taken.protected,
        ek=ek,
        encrypted_key=taken.encrypted_key,
        iv=taken.iv,
        ciphertext=taken.ciphertext,
        tag=taken.tag,
    )


def parse_part(part: Any) -> Nested:
    """Return the encryption in a sealed part of a message.

    Raises:
        EnvelopeMembers, NotCanonical, EnvelopeHeader: it is not of its one form.
        HeaderMismatch: it names another key than its protected header.
    """
    if not is_sealed_part(part):
        raise EnvelopeMembers
    parsed = parse(part["jwe"], kind=NestedKind.PART)
    if part["kid"] != parsed.kid:
        raise HeaderMismatch
    return parsed


def check_lengths(nested: Nested, lengths: tuple[int, ...]) -> None:
    """Refuse fields that cannot be of this suite, before a private key touches them.

    Raises:
        FieldLength: a field does not have its fixed length, or the ciphertext one of its padded lengths.
    """
    fixed = (suite.EK_LENGTH, suite.ENCRYPTED_KEY_LENGTH, suite.IV_LENGTH, suite.TAG_LENGTH)
    if (len(nested.ek), len(nested.encrypted_key), len(nested.iv), len(nested.tag)) != fixed:
        raise FieldLength
    if len(nested.ciphertext) not in lengths:
        raise FieldLength


def check_belongs(nested: Nested, expected: Mapping[str, Any]) -> None:
    """Refuse what was sealed for another place, message, office or procedure.

    Raises:
        HeaderMismatch: its profile header is not byte-equal to the expected one.
    """
    if canonical.dump(nested.profile) != canonical.dump(expected):  # not ==, which takes True for 1
        raise HeaderMismatch


def decrypt(nested: Nested, opener: Opener) -> bytes:
    """Return the padded bytes.

    Raises:
        UnknownRecipientKey: the key is not here.
        DecryptFailed: the key encryption or the content encryption does not open.
    """
    if not opener.holds(nested.kid):
        raise UnknownRecipientKey
    content_key = opener.open(nested.kid, ek=nested.ek, ciphertext=nested.encrypted_key, info=suite.HPKE_INFO)
    if len(content_key) != suite.CONTENT_KEY_LENGTH:  # AES takes shorter ones too
        raise DecryptFailed
    try:
        return AESGCM(content_key).decrypt(nested.iv, nested.ciphertext + nested.tag, nested.protected.encode("ascii"))
    except (InvalidTag, ValueError):
        raise DecryptFailed from None


def unpadded(padded: bytes, lengths: tuple[int, ...]) -> Any:
    """Return the object in padded bytes.

    Raises:
        Padding: not an object followed by just the spaces that the smallest sufficient length asks for.
        NotCanonical: it is not canonical JSON.
    """
    plain = padded.rstrip(b" ")
    smallest = next((length for length in lengths if len(plain) <= length), None)
    if not plain.endswith(b"}") or len(padded) != smallest:
        raise Padding
    return canonical.parse(plain)
