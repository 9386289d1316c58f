# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The wire format of envelope version 1: bytes ↔ `Envelope`, and the padded signed object inside. Never sees a key.

- One fixed shape, canonical everywhere; whatever we would not write ourselves is refused.
- Each check is a function of its own and names its clause of ``schemas/PROTOCOL.md``; the order is normative, because
  it decides which code a peer sees.
- A header's values are hints until both signatures verify.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker.core import canonical
from broker.core.errors import (
    EnvelopeHeader,
    EnvelopeMembers,
    FieldLength,
    HeaderMismatch,
    Padding,
    SignatureShape,
    TooLarge,
    TooLargeToSend,
    UnsupportedEnvelopeVersion,
    UntrustedError,
)
from broker.core.ids import CountryCode, KeyId, MessageId
from broker.core.messages import ProfileHeader
from broker.core.trust import KeyUse
from broker.security import suite

__all__ = [
    "MAX_CONTENT", "MAX_ENVELOPE", "PADDED_LENGTHS", "Envelope", "Members", "Signature", "Signed", "check_lengths",
    "check_same_profile", "check_size", "pad", "parse", "parse_header", "parse_jws", "profile_bytes",
    "protected_jwe", "protected_jws", "signatures_of", "signing_input", "take_members", "unpad", "write_jwe", "write_jws",
]  # fmt: skip

PADDED_LENGTHS = tuple(16 * 1024 * 2**n for n in range(7))  # bytes, 16 KiB … 1 MiB
MAX_ENVELOPE = 1_441_792  # bytes (1,408 KiB): the largest padded length in base64url, its headers and room to spare
MAX_CONTENT = 782_000  # bytes; signed and encoded it always fits the largest padded length

_MEMBERS = ("ciphertext", "encrypted_key", "iv", "protected", "tag")
_JWE_HEADER = {"alg", "crit", "ek", "enc", "kid", "trm", "typ"}
_JWS_HEADER = {"alg", "crit", "kid", "trm", "typ"}
_PROFILE = {"exercise", "exp", "from", "id", "to", "v"}
_JWE_TYPE = "trm+jwe"
_JWS_TYPE = "trm+jws"
_CRIT = ["trm"]
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The five members of an envelope, decoded; the protected header also as received."""

    protected: str
    header: bytes
    encrypted_key: bytes
    iv: bytes
    ciphertext: bytes
    tag: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A parsed envelope of version 1; nothing in it is believed."""

    protected: str  # base64url as received; its ASCII bytes are the AAD
    profile: ProfileHeader
    profile_bytes: bytes  # canonical ``trm``, which both signature headers must repeat
    recipient_kid: KeyId
    ek: bytes
    encrypted_key: bytes
    iv: bytes
    ciphertext: bytes
    tag: bytes

    @property
    def aad(self) -> bytes:
        """What the content encryption authenticates beside the ciphertext."""
        return self.protected.encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One of the two signatures and the exact bytes it is over."""

    kid: KeyId
    signing_input: bytes
    value: bytes
    profile_bytes: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The parsed signed object: content and its two signatures, not verified."""

    content: bytes
    ed25519: Signature
    ml_dsa: Signature


# --- reading the encryption -----------------------------------------------------------------------------------------


def parse(raw: bytes) -> Envelope:
    """Return the envelope of these bytes (PROTOCOL 8.1 to 8.4).

    Raises:
        TooLarge, NotCanonical, EnvelopeMembers, UnsupportedEnvelopeVersion, EnvelopeHeader: in this order.
    """
    check_size(raw)
    return parse_header(take_members(canonical.parse(raw)))


def check_size(raw: bytes) -> None:
    """Refuse before anything is parsed (PROTOCOL 8.1).

    Raises:
        TooLarge: more than the largest envelope.
    """
    if len(raw) > MAX_ENVELOPE:
        raise TooLarge


def take_members(outer: Any) -> Members:
    """Return the five members decoded (PROTOCOL 8.3).

    Raises:
        EnvelopeMembers: not exactly those, each a base64url text that is not empty.
    """
    if not isinstance(outer, dict) or sorted(outer) != list(_MEMBERS):
        raise EnvelopeMembers
    ciphertext, encrypted_key, iv, header, tag = (_decode(outer[name], EnvelopeMembers) for name in _MEMBERS)
    return Members(
        protected=outer["protected"], header=header, encrypted_key=encrypted_key, iv=iv, ciphertext=ciphertext, tag=tag
    )


def parse_header(members: Members) -> Envelope:
    """Return the envelope after a look at its protected header (PROTOCOL 8.4).

    Raises:
        NotCanonical: the header is not canonical JSON.
        UnsupportedEnvelopeVersion: its profile says another version; nothing else of it is looked at.
        EnvelopeHeader: not the one fixed shape.
    """
    header = canonical.parse(members.header)
    if not isinstance(header, dict):
        raise EnvelopeHeader
    profile = header.get("trm")
    if isinstance(profile, dict) and type(profile.get("v")) is int and profile["v"] != _VERSION:
        raise UnsupportedEnvelopeVersion
    fixed = {"alg": suite.KEY_ENCRYPTION, "crit": _CRIT, "enc": suite.ENCRYPTION, "typ": _JWE_TYPE}
    if header.keys() != _JWE_HEADER or any(header[name] != value for name, value in fixed.items()):
        raise EnvelopeHeader
    return Envelope(
        protected=members.protected,
        profile=_profile(profile),
        profile_bytes=canonical.dump_known(header["trm"]),
        recipient_kid=_kid(header["kid"], EnvelopeHeader),
        ek=_decode(header["ek"], EnvelopeHeader),
        encrypted_key=members.encrypted_key,
        iv=members.iv,
        ciphertext=members.ciphertext,
        tag=members.tag,
    )


def check_lengths(envelope: Envelope) -> None:
    """Refuse fields that cannot be of this suite, before a private key touches them (PROTOCOL 8.7).

    Raises:
        FieldLength: a field does not have its fixed length.
    """
    if (len(envelope.ek), len(envelope.encrypted_key), len(envelope.iv), len(envelope.tag)) != (
        suite.EK_LENGTH,
        suite.ENCRYPTED_KEY_LENGTH,
        suite.IV_LENGTH,
        suite.TAG_LENGTH,
    ):
        raise FieldLength


# --- reading what was inside ----------------------------------------------------------------------------------------


def unpad(plaintext: bytes) -> bytes:
    """Return the signed object's bytes without the spaces after them (PROTOCOL 8.9).

    Raises:
        Padding: not an object followed by just the spaces that the smallest sufficient length asks for.
    """
    signed = plaintext.rstrip(b" ")
    if not signed.endswith(b"}") or len(plaintext) != _padded_length(len(signed)):
        raise Padding
    return signed


def parse_jws(signed: bytes) -> Signed:
    """Return the signed object with its two signatures in their fixed order (PROTOCOL 8.10).

    Raises:
        NotCanonical: it or a signature header is not canonical JSON.
        SignatureShape: not the one fixed shape.
    """
    jws = canonical.parse(signed)
    if not isinstance(jws, dict) or jws.keys() != {"payload", "signatures"}:
        raise SignatureShape
    payload, signatures = jws["payload"], jws["signatures"]
    if not isinstance(signatures, list) or len(signatures) != len(suite.SIGNATURES):
        raise SignatureShape
    content = _decode(payload, SignatureShape)
    ed25519, ml_dsa = (_signature(index, item, payload) for index, item in enumerate(signatures))
    return Signed(content=content, ed25519=ed25519, ml_dsa=ml_dsa)


def check_same_profile(signed: Signed, profile_bytes: bytes) -> None:
    """Refuse signatures that were made for another envelope (PROTOCOL 8.11).

    Raises:
        HeaderMismatch: a signature header's profile is not byte-equal to the encryption header's.
    """
    if signed.ed25519.profile_bytes != profile_bytes or signed.ml_dsa.profile_bytes != profile_bytes:
        raise HeaderMismatch


def _signature(index: int, item: Any, payload: str) -> Signature:
    if not isinstance(item, dict) or item.keys() != {"protected", "signature"}:
        raise SignatureShape
    protected = item["protected"]
    header = canonical.parse(_decode(protected, SignatureShape))
    fixed = {"alg": suite.SIGNATURES[index].value, "crit": _CRIT, "typ": _JWS_TYPE}
    if not isinstance(header, dict) or header.keys() != _JWS_HEADER:
        raise SignatureShape
    if any(header[name] != value for name, value in fixed.items()):
        raise SignatureShape
    value = _decode(item["signature"], SignatureShape)
    if len(value) != suite.SIGNATURE_LENGTHS[index]:
        raise SignatureShape
    return Signature(
        kid=_kid(header["kid"], SignatureShape),
        signing_input=signing_input(protected, payload),
        value=value,
        profile_bytes=canonical.dump_known(header["trm"]),
    )


def _profile(trm: Any) -> ProfileHeader:
    if not isinstance(trm, dict) or trm.keys() != _PROFILE:
        raise EnvelopeHeader
    expires, exercise, version = trm["exp"], trm["exercise"], trm["v"]
    if type(expires) is not int or expires < 0 or type(exercise) is not bool or type(version) is not int:
        raise EnvelopeHeader
    try:
        return ProfileHeader(
            sender=CountryCode(trm["from"]),
            recipient=CountryCode(trm["to"]),
            id=MessageId(trm["id"]),
            expires=expires,
            exercise=exercise,
        )
    except ValueError:
        raise EnvelopeHeader from None


def _kid(value: Any, error: type[UntrustedError]) -> KeyId:
    try:
        return KeyId(value)
    except ValueError:
        raise error from None


def _decode(text: Any, error: type[UntrustedError]) -> bytes:
    if not isinstance(text, str) or not text:
        raise error
    try:
        return canonical.b64url_decode(text)
    except ValueError:
        raise error from None


# --- writing --------------------------------------------------------------------------------------------------------


def profile_bytes(profile: ProfileHeader) -> bytes:
    """Return the canonical ``trm`` value (PROTOCOL 3.1)."""
    return canonical.dump_known(
        {
            "exercise": profile.exercise,
            "exp": profile.expires,
            "from": profile.sender,
            "id": profile.id,
            "to": profile.recipient,
            "v": profile.v,
        }
    )


def protected_jws(use: KeyUse, kid: KeyId, trm: bytes) -> str:
    """Return a signature's protected header, base64url (PROTOCOL 5.2)."""
    header = b'{"alg":"%b","crit":["trm"],"kid":"%b","trm":%b,"typ":"trm+jws"}'
    return canonical.b64url_encode(header % (use.encode("ascii"), kid.encode("ascii"), trm))


def protected_jwe(kid: KeyId, ek: bytes, trm: bytes) -> str:
    """Return the encryption's protected header, base64url (PROTOCOL 6.2)."""
    header = b'{"alg":"%b","crit":["trm"],"ek":"%b","enc":"%b","kid":"%b","trm":%b,"typ":"trm+jwe"}'
    values = (suite.KEY_ENCRYPTION, canonical.b64url_encode(ek), suite.ENCRYPTION, kid)
    return canonical.b64url_encode(header % (*(value.encode("ascii") for value in values), trm))


def signing_input(protected: str, payload: str) -> bytes:
    """Return the bytes that a signature is over (RFC 7515 section 5.1)."""
    return f"{protected}.{payload}".encode("ascii")


def write_jws(payload: str, signatures: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the signed object's canonical bytes; each signature is its protected header and its value (5.1)."""
    written = ",".join(
        f'{{"protected":"{protected}","signature":"{canonical.b64url_encode(value)}"}}'
        for protected, value in signatures
    )
    return f'{{"payload":"{payload}","signatures":[{written}]}}'.encode("ascii")


def signatures_of(signed: bytes) -> bytes:
    """Return the member `signatures` of a signed object that `parse_jws` took: canonical, it stands last."""
    name = b',"signatures":'
    return signed[signed.index(name) + len(name) : -1]


def pad(signed: bytes) -> bytes:
    """Return the signed object with spaces up to the smallest sufficient length (PROTOCOL 5.4).

    Raises:
        TooLargeToSend: the largest length is not sufficient.
    """
    length = _padded_length(len(signed))
    if length is None:
        raise TooLargeToSend
    return signed.ljust(length)


def write_jwe(protected: str, *, encrypted_key: bytes, iv: bytes, ciphertext: bytes, tag: bytes) -> bytes:
    """Return the envelope's canonical bytes (PROTOCOL 6.1)."""
    encode = canonical.b64url_encode
    return (
        f'{{"ciphertext":"{encode(ciphertext)}","encrypted_key":"{encode(encrypted_key)}","iv":"{encode(iv)}",'
        f'"protected":"{protected}","tag":"{encode(tag)}"}}'
    ).encode("ascii")


def _padded_length(length: int) -> int | None:
    return next((padded for padded in PADDED_LENGTHS if length <= padded), None)
