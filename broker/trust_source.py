# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The trust list from a file: read strictly, kept in force when a newer one is bad, never rolled back.

The file is believed as it lies there: who may write it decides whom this node trusts. Signed delivery of the same list
(a TUF repository, DESIGN: trust) comes behind the same port.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from broker.core.errors import TrustListInvalid
from broker.core.ids import AuthorityId, CountryCode, KeyId, MessageType, SchemaVersion
from broker.core.trust import Authority, Member, MemberKey, MemberKind, MemberStatus, TrustList
from broker.ports import Clock
from broker.security import jwk

__all__ = ["LONGEST_ENVELOPE_LIFE", "MAX_BYTES", "FileTrustSource", "encode_member", "encode_trust_list",
           "parse_member", "parse_trust_list", "read_trust_list"]  # fmt: skip

T = TypeVar("T")

LONGEST_ENVELOPE_LIFE = timedelta(days=60)  # what was sealed on a key's last day must still be accepted on arrival
MAX_BYTES = 4 * 1024 * 1024  # of the file
_MAX_ITEMS = 256  # of each list in it
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)
_MAX_NAME = 200  # characters


class FileTrustSource:
    """The newest good trust list of one file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Read the file.

        Raises:
            TrustListInvalid: it cannot be read or is not a trust list; there is no previous one to go on with.
        """
        self._path = path
        self._clock = clock
        self._current = read_trust_list(path)
        self._checked = clock.now()

    @property
    def checked(self) -> datetime:
        """When the file was last found good."""
        return self._checked

    def current(self) -> TrustList:
        """Return the list in force."""
        return self._current

    async def refresh(self) -> bool:
        """Read the file again; return whether a newer list came into force.

        Raises:
            TrustListInvalid: it is bad, older, or other content under the same version; the previous one stays.
        """
        fresh = await asyncio.to_thread(read_trust_list, self._path)
        held = self._current
        if fresh.version < held.version:
            raise TrustListInvalid("The trust list's version goes back.", where=f"{self._path}: /version")
        if fresh.version == held.version and fresh != held:
            raise TrustListInvalid("The trust list changed without a new version.", where=f"{self._path}: /version")
        self._checked = self._clock.now()
        self._current = fresh
        return fresh.version > held.version


def read_trust_list(path: Path) -> TrustList:
    """Return the trust list of a file.

    Raises:
        TrustListInvalid: it cannot be read or is not a trust list; ``where`` names file and place.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise TrustListInvalid(f"The file cannot be read ({type(error).__name__}).", where=str(path)) from None
    if len(raw) > MAX_BYTES:
        raise TrustListInvalid("The file is too large to be a trust list.", where=str(path))
    try:
        data = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise TrustListInvalid("The file is not JSON, or an object in it has a name twice.", where=str(path)) from None
    try:
        return parse_trust_list(data)
    except TrustListInvalid as error:
        raise TrustListInvalid(error.detail, where=f"{path}: {error.where}") from None


def parse_trust_list(data: Any) -> TrustList:
    """Return the trust list of its JSON form.

    Raises:
        TrustListInvalid: something is missing, unknown or not of its form; ``where`` points at it.
    """
    fields = _Fields(data, "")
    version = fields.take("version", _version)
    members = fields.take("members", _members)
    fields.finish()
    _refuse_shared_keys(members)
    return TrustList(version=version, members=members)


def parse_member(country: CountryCode, data: Any) -> Member:
    """Return a member of its JSON form, the value under its country in a trust list.

    Raises:
        TrustListInvalid: something is missing, unknown or not of its form; ``where`` points at it.
    """
    fields = _Fields(data, "")
    member = Member(
        country=country,
        status=fields.take("status", MemberStatus),
        kind=fields.take("kind", MemberKind, MemberKind.STATE),
        keys=fields.take("keys", lambda value: _each(value, _key)),
        authorities=fields.take("authorities", lambda value: _each(value, _authority), ()),
        messages=fields.take("messages", _messages, {}),
    )
    fields.finish()
    offices = [office.id for office in member.authorities]
    if len(offices) != len(set(offices)):
        raise TrustListInvalid("An office is listed twice.", where="/authorities")
    return member


def encode_trust_list(trust: TrustList) -> dict[str, Any]:
    """Return the JSON form; `parse_trust_list` gives the same value back."""
    return {
        "version": trust.version,
        "members": {country: encode_member(member) for country, member in sorted(trust.members.items())},
    }


def encode_member(member: Member) -> dict[str, Any]:
    """Return the JSON form of one member."""
    return {
        "status": member.status.value,
        "kind": member.kind.value,
        "keys": [
            {
                "jwk": jwk.public_jwk(key.use, key.public),
                "not_before": _time_text(key.not_before),
                "sign_until": _time_text(key.sign_until),
                "accept_until": _time_text(key.accept_until),
                "revoked_at": None if key.revoked_at is None else _time_text(key.revoked_at),
            }
            for key in member.keys
        ],
        "authorities": [
            {"id": str(office.id), "name": office.name, "languages": list(office.languages)}
            for office in member.authorities
        ],
        "messages": {str(name): [str(item) for item in versions] for name, versions in sorted(member.messages.items())},
    }


class _Fields:
    """Takes members out of an object one by one, so that what is left over is unknown."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise TrustListInvalid("This must be an object.", where=where or "/")
        self._left = dict(data)

    def take(self, name: str, parse: Callable[[Any], T], default: T | None = None) -> T:
        if name not in self._left:
            if default is not None:
                return default
            raise TrustListInvalid("A required member is missing.", where=f"/{name}")
        return _placed(f"/{name}", parse, self._left.pop(name))

    def finish(self) -> None:
        for name in self._left:
            raise TrustListInvalid("An unknown member.", where=f"/{name if name.isidentifier() else '?'}")


def _placed(where: str, parse: Callable[[Any], T], value: Any) -> T:
    """Return the parsed value; an error gets its place put in front."""
    try:
        return parse(value)
    except TrustListInvalid as error:
        raise TrustListInvalid(error.detail, where=f"{where}{error.where or ''}") from None
    except (ValueError, TypeError):
        raise TrustListInvalid("The member does not have its form.", where=where) from None


def _each(value: Any, parse: Callable[[Any], T]) -> tuple[T, ...]:
    if not isinstance(value, list) or len(value) > _MAX_ITEMS:
        raise ValueError("not a list of at most so many items")
    return tuple(_placed(f"/{index}", parse, item) for index, item in enumerate(value))


def _version(value: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**53:
        raise ValueError("not a version")
    return value


def _members(value: Any) -> dict[CountryCode, Member]:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= _MAX_ITEMS:
        raise ValueError("not an object of members")
    countries = {name: _placed("", CountryCode, name) for name in value}
    return {
        country: _placed(f"/{country}", partial(parse_member, country), value[name])
        for name, country in countries.items()
    }


def _key(value: Any) -> MemberKey:
    fields = _Fields(value, "")
    use, public = fields.take("jwk", jwk.public_from_jwk)
    key = MemberKey(
        kid=jwk.thumbprint(use, public),
        use=use,
        public=public,
        not_before=fields.take("not_before", _time),
        sign_until=fields.take("sign_until", _time),
        accept_until=fields.take("accept_until", _time),
        revoked_at=fields.take("revoked_at", _revocation, _Revocation()).at,
    )
    fields.finish()
    if key.not_before >= key.sign_until:
        raise TrustListInvalid("The key ends before it begins.", where="/sign_until")
    if key.accept_until - key.sign_until < LONGEST_ENVELOPE_LIFE:
        raise TrustListInvalid("The key is accepted for less than 60 days after its last use.", where="/accept_until")
    return key


def _authority(value: Any) -> Authority:
    fields = _Fields(value, "")
    office = Authority(
        id=fields.take("id", AuthorityId),
        name=fields.take("name", _name),
        languages=fields.take("languages", lambda items: _each(items, _language), ()),
    )
    fields.finish()
    return office


def _messages(value: Any) -> dict[MessageType, tuple[SchemaVersion, ...]]:
    if not isinstance(value, Mapping) or len(value) > _MAX_ITEMS:
        raise ValueError("not an object of message types")
    types = {name: _placed("", MessageType, name) for name in value}
    return {kind: _placed(f"/{kind}", _versions, value[name]) for name, kind in types.items()}


def _versions(value: Any) -> tuple[SchemaVersion, ...]:
    versions = _each(value, SchemaVersion)
    if not versions or list(versions) != sorted(set(versions), key=lambda version: version.key):
        raise ValueError("not versions in ascending order")
    return versions


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_NAME or not value.isprintable():
        raise ValueError("not a name")
    return value


def _language(value: Any) -> str:
    if not isinstance(value, str) or _LANGUAGE.fullmatch(value) is None:
        raise ValueError("not a language")
    return value


def _time(value: Any) -> datetime:
    moment = datetime.strptime(value, _TIME).replace(tzinfo=UTC)
    if _time_text(moment) != value:
        raise ValueError("not the one spelling of a time")
    return moment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revocation:
    at: datetime | None = None


def _revocation(value: Any) -> _Revocation:
    return _Revocation(at=None if value is None else _time(value))


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_TIME)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a name twice")
    return data


def _refuse_shared_keys(members: Mapping[CountryCode, Member]) -> None:
    """Refuse a key listed twice: its signatures would speak for two members, or be judged by two validities."""
    seen: set[KeyId] = set()
    for country, member in members.items():
        for index, key in enumerate(member.keys):
            if key.kid in seen:
                raise TrustListInvalid("The key is listed before.", where=f"/members/{country}/keys/{index}")
            seen.add(key.kid)
