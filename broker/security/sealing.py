# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Seals, opens and verifies envelopes of version 1. Never sees syntax: that is `envelope`.

- Sign, then pad, then encrypt; a fresh content key and nonce per envelope, so neither is ever used twice.
- Keys are judged at the moment of reception by the newest trust list; key ids and names are hints until then.
- The order of checks is normative (PROTOCOL 8): it decides which code a peer sees.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core import canonical
from broker.core.content import time_from_text
from broker.core.errors import (
    ClockAhead,
    ContentShape,
    DecryptFailed,
    Expired,
    ExpiryTooFar,
    HeaderMismatch,
    NotForUs,
    SenderSuspended,
    TrustListInvalid,
    UnknownKey,
    UnknownRecipientKey,
    UnknownSender,
    WrongMemberKey,
)
from broker.core.ids import CountryCode, KeyId
from broker.core.messages import ProfileHeader, SealedEnvelope, VerifiedMessage
from broker.core.trust import KeyUse, Member, MemberKey, MemberStatus, TrustList
from broker.security import envelope as wire
from broker.security import primitives, suite
from broker.security.envelope import Envelope, Signed
from broker.security.suite import Opener, Signer
from broker.security.verifying import check_both, check_key

__all__ = [
    "CLOCK_TOLERANCE", "LONGEST_LIFE", "Content", "OpenedMessage", "SignedBy", "check_for_us", "check_key_held",
    "check_match", "check_signatures", "check_times", "decrypt", "find_sender_keys", "open_envelope", "read_content",
    "seal", "verify",
]  # fmt: skip

LONGEST_LIFE = timedelta(days=60)  # of an envelope, whatever the sender's setting
CLOCK_TOLERANCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedMessage:
    """What was inside an envelope to us: the signed object's bytes, without padding, and nothing of it believed."""

    profile: ProfileHeader
    profile_bytes: bytes
    recipient_kid: KeyId
    signed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """The stated sender's two keys, each acceptable now."""

    ed25519: MemberKey
    ml_dsa: MemberKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The signed content as JSON values; the header is not yet held against its schema."""

    header: Mapping[str, Any]
    body: Mapping[str, Any]


# --- sealing --------------------------------------------------------------------------------------------------------


def seal(
    content: bytes, *, profile: ProfileHeader, signer: Signer, recipient: MemberKey, trust_version: int
) -> SealedEnvelope:
    """Sign the content with both keys and encrypt it to the recipient's key.

    Raises:
        TooLargeToSend: the content does not fit the largest padded length.
        TrustListInvalid: the recipient's key is not a public encryption key.
    """
    trm = wire.profile_bytes(profile)
    padded = wire.pad(_sign(content, trm, signer))
    drawn = secrets.token_bytes(suite.CONTENT_KEY_LENGTH + suite.IV_LENGTH)  # at once: each drawing is a system call
    content_key, iv = drawn[: suite.CONTENT_KEY_LENGTH], drawn[suite.CONTENT_KEY_LENGTH :]
    ek, encrypted_key = _encapsulate(content_key, recipient)
    protected = wire.protected_jwe(recipient.kid, ek, trm)
    encrypted = AESGCM(content_key).encrypt(iv, padded, protected.encode("ascii"))
    ciphertext, tag = encrypted[: -suite.TAG_LENGTH], encrypted[-suite.TAG_LENGTH :]
    raw = wire.write_jwe(protected, encrypted_key=encrypted_key, iv=iv, ciphertext=ciphertext, tag=tag)
    return SealedEnvelope(
        id=profile.id,
        sender=profile.sender,
        recipient=profile.recipient,
        raw=raw,
        sha256=canonical.digest(raw),
        expires=datetime.fromtimestamp(profile.expires, UTC),
        recipient_kid=recipient.kid,
        signer_kids=(signer.ed25519_kid, signer.ml_dsa_kid),
        trust_version=trust_version,
    )


def _sign(content: bytes, trm: bytes, signer: Signer) -> bytes:
    payload = canonical.b64url_encode(content)
    ed25519 = wire.protected_jws(KeyUse.ED25519, signer.ed25519_kid, trm)
    ml_dsa = wire.protected_jws(KeyUse.ML_DSA_65, signer.ml_dsa_kid, trm)
    return wire.write_jws(
        payload,
        (
            (ed25519, signer.sign_ed25519(wire.signing_input(ed25519, payload))),
            (ml_dsa, signer.sign_ml_dsa(wire.signing_input(ml_dsa, payload))),
        ),
    )


def _encapsulate(content_key: bytes, recipient: MemberKey) -> tuple[bytes, bytes]:
    try:
        public = primitives.hpke_public(recipient.public)
        sealed = suite.hpke().encrypt(content_key, public, suite.HPKE_INFO)
    except ValueError:
        raise TrustListInvalid("A recipient's key is not a public encryption key.") from None
    return sealed[: suite.EK_LENGTH], sealed[suite.EK_LENGTH :]


# --- opening --------------------------------------------------------------------------------------------------------


def open_envelope(envelope: Envelope, opener: Opener, *, us: CountryCode) -> OpenedMessage:
    """Decrypt an envelope that is addressed to us (PROTOCOL 8.5 to 8.9).

    Raises:
        NotForUs, UnknownRecipientKey, FieldLength, DecryptFailed, Padding: in this order.
    """
    check_for_us(envelope, us)
    check_key_held(envelope, opener)
    wire.check_lengths(envelope)
    return OpenedMessage(
        profile=envelope.profile,
        profile_bytes=envelope.profile_bytes,
        recipient_kid=envelope.recipient_kid,
        signed=wire.unpad(decrypt(envelope, opener)),
    )


def check_for_us(envelope: Envelope, us: CountryCode) -> None:
    """Refuse another member's envelope before a private key touches it (PROTOCOL 8.5).

    Raises:
        NotForUs: ``to`` is another member.
    """
    if envelope.profile.recipient != us:
        raise NotForUs


def check_key_held(envelope: Envelope, opener: Opener) -> None:
    """Refuse an envelope to a key that is not here (PROTOCOL 8.6).

    Raises:
        UnknownRecipientKey: never was, or destroyed at the end of its acceptance.
    """
    if not opener.holds(envelope.recipient_kid):
        raise UnknownRecipientKey


def decrypt(envelope: Envelope, opener: Opener) -> bytes:
    """Return the padded plaintext (PROTOCOL 8.8).

    Raises:
        DecryptFailed: the key encryption or the content encryption does not open.
    """
    content_key = opener.open(
        envelope.recipient_kid, ek=envelope.ek, ciphertext=envelope.encrypted_key, info=suite.HPKE_INFO
    )
    if len(content_key) != suite.CONTENT_KEY_LENGTH:  # AES takes shorter ones too
        raise DecryptFailed
    try:
        return AESGCM(content_key).decrypt(envelope.iv, envelope.ciphertext + envelope.tag, envelope.aad)
    except (InvalidTag, ValueError):
        raise DecryptFailed from None


# --- verifying ------------------------------------------------------------------------------------------------------


def verify(opened: OpenedMessage, trust: TrustList, *, now: datetime) -> VerifiedMessage:
    """Believe a message: both signatures are the stated member's and all headers agree (PROTOCOL 8.10 to 8.15).

    Its times are not judged here but by `check_times`: an expired message is believed, and its sender gets a signed
    refusal that names it.

    Raises:
        NotCanonical, SignatureShape, HeaderMismatch, UnknownSender, SenderSuspended, UnknownKey, WrongMemberKey,
        KeyNotYetValid, KeyExpired, KeyRevoked, BadSignature, ContentShape.
    """
    signed = wire.parse_jws(opened.signed)
    wire.check_same_profile(signed, opened.profile_bytes)
    keys = find_sender_keys(opened.profile, signed, trust, now=now)
    check_signatures(signed, keys)
    content = read_content(signed)
    check_match(content, opened.profile)
    return VerifiedMessage(
        profile=opened.profile,
        content=signed.content,
        digest=canonical.digest(signed.content),
        header=content.header,
        body=content.body,
        sender=opened.profile.sender,
        signer_kids=(keys.ed25519.kid, keys.ml_dsa.kid),
        recipient_kid=opened.recipient_kid,
        trust_version=trust.version,
        received=now,
        signatures=wire.signatures_of(opened.signed),
    )


def find_sender_keys(profile: ProfileHeader, signed: Signed, trust: TrustList, *, now: datetime) -> SignedBy:
    """Return the stated sender's keys of both signatures, judged at this moment (PROTOCOL 8.12).

    Raises:
        UnknownSender, SenderSuspended, UnknownKey, WrongMemberKey, KeyNotYetValid, KeyExpired, KeyRevoked.
    """
    member = trust.members.get(profile.sender)
    if member is None:
        raise UnknownSender
    if member.status is not MemberStatus.ACTIVE:
        raise SenderSuspended
    return SignedBy(
        ed25519=_sender_key(signed.ed25519.kid, KeyUse.ED25519, member, trust, now),
        ml_dsa=_sender_key(signed.ml_dsa.kid, KeyUse.ML_DSA_65, member, trust, now),
    )


def _sender_key(kid: KeyId, use: KeyUse, member: Member, trust: TrustList, now: datetime) -> MemberKey:
    # The sender's own keys first: a member that lists another's public key as its own must not shut that member out.
    key = next((key for key in member.keys if key.kid == kid), None)
    if key is None:
        raise UnknownKey if trust.find_key(kid) is None else WrongMemberKey
    return check_key(key, use, at=now)


def check_signatures(signed: Signed, keys: SignedBy) -> None:
    """Refuse unless both signatures verify (PROTOCOL 8.13).

    Raises:
        BadSignature: one of them does not.
        TrustListInvalid: a listed key is not a public key of its algorithm; the trust source should have refused it.
    """
    check_both(
        (keys.ed25519, keys.ml_dsa),
        (signed.ed25519.value, signed.ml_dsa.value),
        (signed.ed25519.signing_input, signed.ml_dsa.signing_input),
    )


def read_content(signed: Signed) -> Content:
    """Return the content's header and body (PROTOCOL 8.14).

    Raises:
        NotCanonical: not canonical JSON.
        ContentShape: not exactly an object of the objects header and body.
    """
    content = canonical.parse(signed.content)
    if not isinstance(content, dict) or content.keys() != {"header", "body"}:
        raise ContentShape
    header, body = content["header"], content["body"]
    if not isinstance(header, dict) or not isinstance(body, dict):
        raise ContentShape
    return Content(header=header, body=body)


def check_match(content: Content, profile: ProfileHeader) -> None:
    """Refuse a content that was signed for another envelope (PROTOCOL 8.15).

    Raises:
        HeaderMismatch: id, a country or the exercise mark of the content header is not the profile header's.
    """
    header = content.header
    if (
        header.get("id") != profile.id
        or _country(header.get("sender")) != profile.sender
        or _country(header.get("recipient")) != profile.recipient
        or header.get("exercise") is not profile.exercise
    ):
        raise HeaderMismatch


def _country(party: Any) -> Any:
    return party.get("country") if isinstance(party, dict) else None


def check_times(content: Content, profile: ProfileHeader, *, now: datetime) -> None:
    """Refuse what came too late or from a clock that is ahead (PROTOCOL 8.16).

    A time of creation that is not of its form is left to the header's schema, so that the author hears of it.

    Raises:
        Expired: the envelope's expiry has come.
        ClockAhead: the message was made more than the tolerance in our future; ``where`` names its country.
        ExpiryTooFar: the expiry lies further ahead than the longest life.
    """
    seconds = now.timestamp()
    if seconds >= profile.expires:
        raise Expired
    created = _created(content.header.get("created"))
    if created is not None and created > now + CLOCK_TOLERANCE:
        raise ClockAhead(where=profile.sender)
    if profile.expires > seconds + (LONGEST_LIFE + CLOCK_TOLERANCE).total_seconds():
        raise ExpiryTooFar


def _created(value: Any) -> datetime | None:
    try:
        return time_from_text(value)
    except (ValueError, TypeError):
        return None
