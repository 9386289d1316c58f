# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""``members/<CC>.json``: what a member's own officers sign about their country (PROTOCOL: trust list).

Status and kind are not in it: whether a country is a member is the federation's to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from broker.core.characters import is_line
from broker.core.errors import TrustListInvalid
from broker.core.ids import AuthorityId, CountryCode, MessageType, SchemaVersion
from broker.core.trust import (
    LONGEST_ENVELOPE_LIFE,
    Authority,
    AuthorityKey,
    ContactKind,
    ContactPoint,
    KeyUse,
    Member,
    MemberKey,
    OpeningHours,
    RevocationReason,
    Weekday,
)
from broker.security import jwk
from broker.trust.strict import Fields, each, exactly, mapping, placed, read_json, time, time_text, write_json

__all__ = ["FORMAT", "encode_member", "parse_member", "read_member", "write_member"]

FORMAT = "trm-member/1"
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)
_COMPETENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_ZONE = re.compile(r"[A-Za-z]+(?:[/_+-][A-Za-z0-9]+){0,4}", re.ASCII)
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII)
_PROCEDURE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_MAX_TYPES = 4096  # of messages: a catalogue of today has more than two hundred
_MAX_NAME = 200  # characters
_MAX_CONTACT = 500  # characters


def read_member(raw: bytes, country: CountryCode, *, where: str) -> Member:
    """Return the member of its document's bytes.

    Raises:
        TrustListInvalid: it is not this country's document in its one form; ``where`` names file and place.
    """
    data = read_json(raw, where=where)
    return placed(f"{where}: ", lambda value: parse_member(country, value), data)


def write_member(member: Member) -> bytes:
    """Return the document's bytes; `read_member` gives the same value back."""
    return write_json(encode_member(member))


def parse_member(country: CountryCode, data: Any) -> Member:
    """Return the member of its document.

    Raises:
        TrustListInvalid: something is missing, unknown or not of its form; ``where`` points at it.
    """
    fields = Fields(data)
    fields.take("format", exactly(FORMAT))
    stated = fields.take("country", CountryCode)
    member = Member(
        country=stated,
        keys=fields.take("keys", lambda value: each(value, _key)),
        authorities=fields.take("authorities", lambda value: each(value, _authority)),
        messages=fields.take("messages", lambda value: mapping(value, _message_type, _versions, most=_MAX_TYPES)),
        procedures=fields.take("procedures", lambda value: mapping(value, _procedure, _versions)),
    )
    fields.finish()
    if stated != country:
        raise TrustListInvalid("The document is another country's.", where="/country")
    _refuse_twice("/authorities", [office.id for office in member.authorities])
    _refuse_twice("/keys", list(member.all_kids()))  # a key has one use and one owner: no node's is an office's too
    return member


def encode_member(member: Member) -> dict[str, Any]:
    """Return the document; `parse_member` gives the same value back, but for status, kind and expiry."""
    return {
        "format": FORMAT,
        "country": str(member.country),
        "keys": [_encode_key(key) for key in member.keys],
        "authorities": [_encode_authority(office) for office in member.authorities],
        "messages": _encode_versions(member.messages),
        "procedures": _encode_versions(member.procedures),
    }


def _encode_key(key: MemberKey) -> dict[str, Any]:
    return {
        "jwk": jwk.public_jwk(key.use, key.public),
        "not_before": time_text(key.not_before),
        "sign_until": time_text(key.sign_until),
        "accept_until": time_text(key.accept_until),
        "revoked": _encode_revocation(key),
    }


def _encode_authority_key(key: AuthorityKey) -> dict[str, Any]:
    return {
        "jwk": jwk.public_jwk(KeyUse.HPKE, key.public),
        "not_before": time_text(key.not_before),
        "seal_until": time_text(key.seal_until),
        "accept_until": time_text(key.accept_until),
        "revoked": _encode_revocation(key),
    }


def _encode_revocation(key: MemberKey | AuthorityKey) -> dict[str, str] | None:
    if key.revoked_at is None:
        return None
    reason = key.revoked_because or RevocationReason.COMPROMISED
    return {"at": time_text(key.revoked_at), "reason": reason.value}


def _encode_authority(office: Authority) -> dict[str, Any]:
    keys = [_encode_authority_key(key) for key in office.keys]
    return {
        "id": str(office.id),
        "name": office.name,
        "languages": list(office.languages),
        "competences": list(office.competences),
        "time_zone": office.time_zone,
        "opening_hours": [hours.to_json() for hours in office.opening_hours],
        "contact_points": [point.to_json() for point in office.contact_points],
        **({"keys": keys} if keys else {}),  # a program without this member still reads what has none
    }


def _encode_versions(versions: Mapping[Any, tuple[SchemaVersion, ...]]) -> dict[str, list[str]]:
    return {str(name): [str(item) for item in listed] for name, listed in sorted(versions.items())}


def _key(value: Any) -> MemberKey:
    fields = Fields(value)
    use, public = fields.take("jwk", jwk.public_from_jwk)
    not_before, sign_until = fields.take("not_before", time), fields.take("sign_until", time)
    accept_until = fields.take("accept_until", time)
    revoked_at, because = fields.take("revoked", _revocation)
    fields.finish()
    _check_times(not_before, sign_until, accept_until, used_until="/sign_until")
    return MemberKey(
        kid=jwk.thumbprint(use, public),
        use=use,
        public=public,
        not_before=not_before,
        sign_until=sign_until,
        accept_until=accept_until,
        revoked_at=revoked_at,
        revoked_because=because,
    )


def _authority_key(value: Any) -> AuthorityKey:
    fields = Fields(value)
    public = fields.take("jwk", _encryption_key)
    not_before, seal_until = fields.take("not_before", time), fields.take("seal_until", time)
    accept_until = fields.take("accept_until", time)
    revoked_at, because = fields.take("revoked", _revocation)
    fields.finish()
    _check_times(not_before, seal_until, accept_until, used_until="/seal_until")
    return AuthorityKey(
        kid=jwk.thumbprint(KeyUse.HPKE, public),
        public=public,
        not_before=not_before,
        seal_until=seal_until,
        accept_until=accept_until,
        revoked_at=revoked_at,
        revoked_because=because,
    )


def _encryption_key(value: Any) -> bytes:
    use, public = jwk.public_from_jwk(value)
    if use is not KeyUse.HPKE:
        raise ValueError("not an encryption key")
    return public


def _check_times(not_before: datetime, until: datetime, accept_until: datetime, *, used_until: str) -> None:
    if not_before >= until:
        raise TrustListInvalid("The key ends before it begins.", where=used_until)
    if accept_until - until < LONGEST_ENVELOPE_LIFE:
        raise TrustListInvalid("The key is accepted for less than 60 days after its last use.", where="/accept_until")


def _revocation(value: Any) -> tuple[datetime | None, RevocationReason | None]:
    if value is None:
        return None, None
    fields = Fields(value)
    at, reason = fields.take("at", time), fields.take("reason", RevocationReason)
    fields.finish()
    return at, reason


def _authority(value: Any) -> Authority:
    fields = Fields(value)
    office = Authority(
        id=fields.take("id", AuthorityId),
        name=fields.take("name", lambda text: _line(text, _MAX_NAME)),
        languages=fields.take_or("languages", _languages, ()),
        competences=fields.take_or("competences", lambda items: each(items, _competence), ()),
        time_zone=fields.take_or("time_zone", _zone, None),
        opening_hours=fields.take_or("opening_hours", lambda items: each(items, _hours), ()),
        contact_points=fields.take_or("contact_points", lambda items: each(items, _contact), ()),
        keys=fields.take_or("keys", lambda items: each(items, _authority_key), ()),
    )
    fields.finish()
    if office.opening_hours and office.time_zone is None:
        raise TrustListInvalid("Opening hours mean nothing without a time zone.", where="/time_zone")
    return office


def _hours(value: Any) -> OpeningHours:
    fields = Fields(value)
    days = fields.take("days", lambda items: each(items, Weekday))
    opens, closes = fields.take("opens", _clock), fields.take("closes", _clock)
    fields.finish()
    _refuse_twice("/days", list(days))
    if not days or opens >= closes:
        raise TrustListInvalid("Opening hours need a day, and an end after their beginning.", where="/closes")
    return OpeningHours(days=days, opens=opens, closes=closes)


def _contact(value: Any) -> ContactPoint:
    fields = Fields(value)
    point = ContactPoint(
        kind=fields.take("kind", ContactKind),
        value=fields.take("value", lambda text: _line(text, _MAX_CONTACT)),
        languages=fields.take_or("languages", _languages, ()),
    )
    fields.finish()
    return point


def _versions(value: Any) -> tuple[SchemaVersion, ...]:
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return _ascending(tuple(value))
    return each(value, SchemaVersion)  # refuses it, at its place


@lru_cache(maxsize=1024)  # a member names hundreds of types, and nearly all of them have the same few versions
def _ascending(texts: tuple[str, ...]) -> tuple[SchemaVersion, ...]:
    versions = each(list(texts), SchemaVersion)
    if not versions or list(versions) != sorted(set(versions), key=lambda version: version.key):
        raise ValueError("not versions in ascending order")
    return versions


@lru_cache(maxsize=_MAX_TYPES)  # every member names the same types
def _message_type(text: str) -> MessageType:
    return MessageType(text)


def _line(value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or not is_line(value):
        raise ValueError("not a line of text")
    return value


def _languages(value: Any) -> tuple[str, ...]:
    return each(value, lambda text: _fitting(_LANGUAGE, text))


def _competence(value: Any) -> str:
    return _fitting(_COMPETENCE, value)


def _procedure(value: Any) -> str:
    return _fitting(_PROCEDURE, value)


def _clock(value: Any) -> str:
    return _fitting(_CLOCK, value)


def _zone(value: Any) -> str | None:
    return None if value is None else _fitting(_ZONE, value)


def _fitting(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise ValueError("not of its pattern")
    return value


def _refuse_twice(where: str, items: list[Any]) -> None:
    if len(items) != len(set(items)):
        raise TrustListInvalid("Something is listed twice.", where=where)
