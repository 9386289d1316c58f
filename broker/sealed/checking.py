# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a node holds a sealed part or file to, which it cannot read: form, place, and whose key it is (PROTOCOL 16.5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from broker.core.errors import (
    AttachmentRefused,
    AuthorityKeyEnded,
    AuthorityKeyMissing,
    HeaderMismatch,
    SealedPartRefused,
    UntrustedError,
)
from broker.core.ids import KeyId
from broker.core.messages import Body, Header
from broker.core.sealed_parts import PartPlace, has_sealed_part, rest_digest, sealed_parts
from broker.core.trust import Authority, AuthorityKey, TrustList
from broker.security import nested
from broker.security.nested import PART_LENGTHS
from broker.security.sealed_files import file_profile, read_head

__all__ = ["check_file_sent", "check_received", "check_sent", "file_fault"]


def check_sent(header: Header, body: Body, trust: TrustList, *, opens: bool, now: datetime) -> None:
    """Refuse what the receiving office could not open, or what its node would refuse.

    Args:
        header: of the message, with or without its parents.
        body: fits its schema.
        trust: the list in force.
        opens: whether the message opens its procedure.
        now: the current time.

    Raises:
        AuthorityKeyMissing: the office has no key that may be sealed to now.
        AuthorityKeyEnded: a part is sealed to a key of the office that may not be sealed to now.
        SealedPartRefused: a part is not of its form, sealed to somebody else's key, or for another place.
    """
    if not has_sealed_part(body):
        return
    office = _office(header, trust)
    if office is None or office.key_for_sealing(now) is None:
        raise AuthorityKeyMissing(where="/recipient/authority")
    _check(header, body, office, lambda key: key.usable(now), opens=opens)


def check_received(
    header: Header, body: Body, trust: TrustList, *, now: datetime, content: bytes | None = None
) -> None:
    """Refuse what our office cannot open, or what was sealed for another place.

    Args:
        header: of the message.
        body: fits its schema.
        trust: the list in force.
        now: the current time.
        content: the message's bytes, where they are at hand.

    Raises:
        AuthorityKeyEnded: a part is sealed to a key of the office that is revoked or accepted no more.
        SealedPartRefused: a part is not of its form, sealed to a key that is not the office's, or for another place.
    """
    if not has_sealed_part(body, content):
        return

    def accepted(key: AuthorityKey) -> bool:
        return now < key.accept_until and not key.revoked(now)

    _check(header, body, _office(header, trust), accepted, opens=not header.parents)


def check_file_sent(beginning: bytes, header: Header, trust: TrustList, *, now: datetime, where: str) -> None:
    """Refuse a sealed file that the office of its message could not open (PROTOCOL 16.7).

    Args:
        beginning: of the file, `LONGEST_HEAD` bytes or all of it.
        header: of the message.
        trust: the list in force.
        now: the current time.
        where: the file's place in the submission.

    Raises:
        AttachmentRefused: it was sealed between other offices, or to a key that is not the receiving one's.
        AuthorityKeyEnded: it is sealed to a key of the office that may not be sealed to now.
    """
    try:
        kid = _file_key(beginning, header)
    except HeaderMismatch:
        wrong = "The file was sealed from or to another office than its message: seal it anew, between these two."
        raise AttachmentRefused(wrong, where=where) from None
    except UntrustedError as error:
        raise AttachmentRefused(
            f"The file is not sealed to an office as it says ({error.code}).", where=where
        ) from None
    office = _office(header, trust)
    key = None if office is None else office.key(kid)
    if key is None:
        raise AttachmentRefused(
            "The file is sealed to a key that is not the receiving office's: seal it anew.", where=where
        )
    if not key.usable(now):
        raise AuthorityKeyEnded(
            "The file is sealed to a key of the receiving office that is revoked or past its time: seal it anew.",
            where=where,
        )


def file_fault(beginning: bytes, header: Header, trust: TrustList, *, now: datetime) -> str | None:
    """Return why the receiving office cannot open a sealed file that came with its message, in one sentence (PROTOCOL 16.7).

    Its message is in the record before the file is whole, so that nothing is refused: people ask for it anew.

    Args:
        beginning: of the file, `LONGEST_HEAD` bytes or all of it.
        header: of the message.
        trust: the list in force.
        now: the current time.
    """
    try:
        kid = _file_key(beginning, header)
    except HeaderMismatch:
        return "An attachment was sealed from or to another office than its message."
    except UntrustedError:
        return "An attachment only says that it is sealed."
    office = _office(header, trust)
    key = None if office is None else office.key(kid)
    if key is None:
        return "An attachment is sealed to a key that is not this office's."
    if now >= key.accept_until or key.revoked(now):
        return "An attachment is sealed to a key of this office that is revoked or accepted no more."
    return None


def _file_key(beginning: bytes, header: Header) -> KeyId:
    """Return whose key a sealed file needs.

    Raises:
        HeaderMismatch: it was sealed from or to another office than its message.
        UntrustedError: it only says that it is sealed.
    """
    head, _ = read_head(beginning)
    nested.check_belongs(head.sealed, file_profile(header.sender, header.recipient))
    return head.sealed.kid


def _office(header: Header, trust: TrustList) -> Authority | None:
    member = trust.members.get(header.recipient.country)
    return None if member is None else member.authority(header.recipient.authority)


def _check(
    header: Header, body: Body, office: Authority | None, acceptable: Callable[[AuthorityKey], bool], *, opens: bool
) -> None:
    found = tuple(sealed_parts(body))
    rest = rest_digest(body, (place for place, _ in found))
    for place, part in found:
        where = f"/body{place}"
        expected = PartPlace.of(header, opens=opens, rest=rest, place=place)
        try:
            parsed = nested.parse_part(part)
            nested.check_lengths(parsed, PART_LENGTHS)
            nested.check_belongs(parsed, expected.to_json())
        except UntrustedError as error:
            raise SealedPartRefused(f"{SealedPartRefused.__doc__} ({error.code})", where=where) from None
        key = None if office is None else office.key(parsed.kid)
        if key is None:
            raise SealedPartRefused("A part is sealed to a key that is not the receiving office's.", where=where)
        if not acceptable(key):
            raise AuthorityKeyEnded(where=where)
