# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about a member's document."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode, MessageType, SchemaVersion
from broker.core.trust import AuthorityKey, KeyUse, Member, RevocationReason
from broker.security import jwk
from broker.trust.member_documents import encode_member, parse_member, read_member, write_member
from broker.trust.strict import read_json

EE = CountryCode("EE")
REMOVED = object()


def changed(member: Member, path: str, value: Any) -> Any:
    """Return the member's document with one place changed or removed."""
    data = copy.deepcopy(encode_member(member))
    *above, last = [int(part) if part.isdecimal() else part for part in path.split("/")]
    place: Any = data
    for part in above:
        place = place[part]
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return data


def test_a_member_reads_back(ee: Member) -> None:
    """Keys, offices with hours and contact points, versions: everything comes back."""
    whole = replace(ee, procedures={"family-tracing": (SchemaVersion("1.0"), SchemaVersion("1.10"))})
    assert read_member(write_member(whole), EE, where="here") == whole


def test_a_revoked_key_reads_back_with_its_reason(ee: Member) -> None:
    """Time and reason stand together."""
    at = ee.keys[0].not_before + timedelta(days=1)
    gone = replace(ee.keys[0], revoked_at=at, revoked_because=RevocationReason.SUPERSEDED)
    member = replace(ee, keys=(gone, *ee.keys[1:]))
    assert read_member(write_member(member), EE, where="here") == member


def with_keys(member: Member, *keys: AuthorityKey) -> Member:
    """Return the member whose first office has these keys."""
    office, *others = member.authorities
    return replace(member, authorities=(replace(office, keys=keys), *others))


def office_key(member: Member, public: bytes | None = None) -> AuthorityKey:
    """Return a key as an office has one, as long valid as its node's."""
    raw, first = public or jwk.generate(KeyUse.HPKE)[1], member.keys[0]
    return AuthorityKey(
        kid=jwk.thumbprint(KeyUse.HPKE, raw),
        public=raw,
        not_before=first.not_before,
        seal_until=first.sign_until,
        accept_until=first.accept_until,
    )


def test_an_offices_keys_read_back_and_a_document_without_them_stays_as_it_was(ee: Member) -> None:
    """Also a revoked one; who lists none writes the bytes of an older program."""
    key = office_key(ee)
    gone = replace(office_key(ee), revoked_at=key.not_before, revoked_because=RevocationReason.COMPROMISED)
    member = with_keys(ee, key, gone)
    assert read_member(write_member(member), EE, where="here") == member
    assert b"seal_until" not in write_member(ee)


@pytest.mark.parametrize("whose", ["twice in one office", "the node's"])
def test_an_offices_key_has_one_owner(ee: Member, whose: str) -> None:
    """A node that also had its office's key would read what is sealed against it."""
    node = next(key.public for key in ee.keys if key.use is KeyUse.HPKE)
    key = office_key(ee, node if whose == "the node's" else None)
    with pytest.raises(TrustListInvalid) as caught:
        parse_member(EE, encode_member(with_keys(ee, key, *([key] if whose != "the node's" else []))))
    assert caught.value.where == "/keys"


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("format", "trm-member/2", "/format"),
        ("country", "FI", "/country"),
        ("country", "UK", "/country"),
        ("keys", {}, "/keys"),
        ("keys", REMOVED, "/keys"),
        ("more", 1, "/more"),
        ("keys/0/jwk/kty", "RSA", "/keys/0/jwk"),
        ("keys/0/not_before", "2026-11-22 03:00:00", "/keys/0/not_before"),
        ("keys/0/not_before", "2026-11-22T03:00:00+00:00", "/keys/0/not_before"),
        ("keys/0/sign_until", "2026-11-22T03:00:00Z", "/keys/0/sign_until"),
        ("keys/0/accept_until", "2027-12-22T03:00:00Z", "/keys/0/accept_until"),
        ("keys/0/revoked", {"at": "2026-11-23T00:00:00Z"}, "/keys/0/revoked/reason"),
        ("keys/0/revoked", {"at": "2026-11-23T00:00:00Z", "reason": "bored"}, "/keys/0/revoked/reason"),
        ("keys/0/revoked", REMOVED, "/keys/0/revoked"),
        ("authorities/0/id", "Child Protection", "/authorities/0/id"),
        ("authorities/0/name", " ", "/authorities/0/name"),
        ("authorities/0/name", "a\u202eb", "/authorities/0/name"),
        ("authorities/0/languages", ["Estonian"], "/authorities/0/languages/0"),
        ("authorities/0/competences", ["may do all"], "/authorities/0/competences/0"),
        ("authorities/0/time_zone", None, "/authorities/0/time_zone"),
        ("authorities/0/time_zone", "../etc/passwd", "/authorities/0/time_zone"),
        ("authorities/0/opening_hours/0/days", [], "/authorities/0/opening_hours/0/closes"),
        ("authorities/0/opening_hours/0/days", ["mon", "mon"], "/authorities/0/opening_hours/0/days"),
        ("authorities/0/opening_hours/0/opens", "8:00", "/authorities/0/opening_hours/0/opens"),
        ("authorities/0/opening_hours/0/opens", "25:00", "/authorities/0/opening_hours/0/opens"),
        ("authorities/0/opening_hours/0/closes", "07:00", "/authorities/0/opening_hours/0/closes"),
        ("authorities/0/contact_points/0/kind", "fax", "/authorities/0/contact_points/0/kind"),
        ("authorities/0/contact_points/0/value", "", "/authorities/0/contact_points/0/value"),
        ("messages", [], "/messages"),
        ("messages", {"Family Tracing": ["1.0"]}, "/messages"),
        ("messages", {"family-tracing.request": []}, "/messages/family-tracing.request"),
        ("messages", {"family-tracing.request": ["1.1", "1.0"]}, "/messages/family-tracing.request"),
        ("procedures", {"Tracing": ["1.0"]}, "/procedures"),
    ],
)
def test_what_has_not_its_form_is_refused_with_its_place(ee: Member, path: str, value: Any, where: str) -> None:
    """One wrong member, one place."""
    with pytest.raises(TrustListInvalid) as caught:
        parse_member(EE, changed(ee, path, value))
    assert caught.value.where == where


@pytest.mark.parametrize("name", ["keys", "authorities"])
def test_nothing_is_listed_twice(ee: Member, name: str) -> None:
    """Two entries of one key or office could say two things."""
    data = encode_member(ee)
    data[name] = [*data[name], data[name][0]]
    with pytest.raises(TrustListInvalid, match="twice"):
        parse_member(EE, data)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "utf-32-be"])
def test_another_encoding_is_refused(ee: Member, encoding: str) -> None:
    """UTF-8 alone: a node of another country that guesses no encoding would keep the previous document."""
    with pytest.raises(TrustListInvalid, match="UTF-8"):
        read_member(write_member(ee).decode().encode(encoding), EE, where="here")


@pytest.mark.parametrize("raw", [b'"\xed\xa0\x80"', b"NaN", b"-Infinity"])
def test_what_no_other_reader_of_json_takes_is_refused(raw: bytes) -> None:
    """Half of a surrogate pair in UTF-8, and numbers that are none."""
    with pytest.raises(TrustListInvalid, match="UTF-8"):
        read_json(raw, where="here")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "0999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_key_may_be_revoked_since_ever(ee: Member, at: str) -> None:
    """Every year has four digits, on every machine: a revocation must not depend on how one writes the year 1."""
    data = changed(ee, "keys/0/revoked", {"at": at, "reason": "key-compromise"})
    assert encode_member(parse_member(EE, data)) == data


def test_a_byte_order_mark_is_read_over(ee: Member) -> None:
    """Some editors write one."""
    assert read_member(b"\xef\xbb\xbf" + write_member(ee), EE, where="here") == ee


def test_a_name_twice_in_an_object_is_refused(ee: Member) -> None:
    """Two readers would believe two things."""
    raw = write_member(ee).replace(b'"country": "EE"', b'"country": "FI",\n  "country": "EE"')
    with pytest.raises(TrustListInvalid) as caught:
        read_member(raw, EE, where="members/EE.json")
    assert (caught.value.where, caught.value.rule) == ("members/EE.json", "malformed")


@settings(max_examples=60)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3), max_leaves=8))  # fmt: skip
def test_any_json_is_a_member_or_refused(value: Any) -> None:
    """No other exception comes out."""
    with pytest.raises(TrustListInvalid):
        read_member(json.dumps(value).encode("utf-8"), EE, where="here")


def test_a_large_catalogue_fits_and_an_endless_one_does_not(ee: Member) -> None:
    """A member lists every message type of a catalogue that grows for years; no document is read without a limit."""
    versions = (SchemaVersion("1.0"),)

    def listing(number: int) -> Member:
        return replace(ee, messages={MessageType(f"family-tracing.act-{n}"): versions for n in range(number)})

    assert len(read_member(write_member(listing(4096)), ee.country, where="x").messages) == 4096
    with pytest.raises(TrustListInvalid):
        read_member(write_member(listing(4097)), ee.country, where="x")
