# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message of ours that another country gives back: taken only if both our signatures are under it (PROTOCOL 17.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.core import canonical
from broker.core.content import decode_header
from broker.core.errors import BrokerError, HeaderMismatch, KeyRevoked, UnknownKey, WrongMemberKey
from broker.core.healing import HELD_TYPE, Answer
from broker.core.ids import CountryCode, Digest, KeyId
from broker.core.messages import Header, VerifiedMessage
from broker.core.trust import KeyUse, MemberKey, TrustList
from broker.security import envelope as wire
from broker.security.sealing import SignedBy, check_signatures, read_content

__all__ = ["ReturnedMessage", "read_returned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedMessage:
    """What came back; without content it is not ours, and the code says why."""

    digest: Digest  # of what was announced
    header: Header | None = None
    content: bytes = b""
    code: str = ""


def read_returned(verified: VerifiedMessage, trust: TrustList, us: CountryCode) -> ReturnedMessage | None:
    """Return the message that an answer brings back, its signatures verified; None where it brings none.

    Our keys are judged by what the list says of them today, but for their end: they signed when they were in use.
    """
    if verified.header.get("type") != HELD_TYPE:
        return None
    try:
        back = Answer.of(verified.body, verified.sender).returned
        if back is None:
            return None
    except BrokerError:
        return None  # the body does not have its form: its schema says so
    try:
        signed = wire.parse_jws(canonical.dump(dict(back.signed)))
        ours = SignedBy(
            ed25519=_key(signed.ed25519.kid, KeyUse.ED25519, trust, us),
            ml_dsa=_key(signed.ml_dsa.kid, KeyUse.ML_DSA_65, trust, us),
        )
        check_signatures(signed, ours)
        content = read_content(signed)
        _check_match(content.header, verified, back.digest, signed.content)
        return ReturnedMessage(digest=back.digest, header=decode_header(content.header), content=signed.content)
    except BrokerError as error:
        return ReturnedMessage(digest=back.digest, code=error.code)


def _key(kid: KeyId, use: KeyUse, trust: TrustList, us: CountryCode) -> MemberKey:
    found = trust.find_key(kid)
    if found is None:
        raise UnknownKey
    member, key = found
    if member.country != us or key.use is not use:
        raise WrongMemberKey
    if key.revoked_at is not None:  # somebody else may have signed with it
        raise KeyRevoked
    return key


def _check_match(header: Mapping[str, Any], verified: VerifiedMessage, digest: Digest, content: bytes) -> None:
    """Refuse a message that went elsewhere, is not the one that was announced, or names another sender than us.

    Raises:
        HeaderMismatch: it is another one.
    """
    sender, recipient = header.get("sender"), header.get("recipient")
    if not isinstance(sender, Mapping) or not isinstance(recipient, Mapping):
        raise HeaderMismatch
    if (sender.get("country"), recipient.get("country")) != (verified.profile.recipient, verified.sender):
        raise HeaderMismatch
    if canonical.digest(content) != digest:
        raise HeaderMismatch
