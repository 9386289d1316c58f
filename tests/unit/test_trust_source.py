# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What counts as a trust list, and which one is in force."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import TrustListInvalid
from broker.core.ids import AuthorityId, CountryCode, MessageType, SchemaVersion
from broker.core.trust import Authority, MemberKind, MemberStatus, TrustList
from broker.home import generate_keys, member_of, write_trust_list
from broker.testing.clock import HandClock
from broker.trust_source import FileTrustSource, encode_trust_list, parse_trust_list, read_trust_list

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
OFFICE = Authority(id=AuthorityId("test-office"), name="Näidisamet", languages=("et", "en"))
MESSAGES = {MessageType("family-tracing.request"): (SchemaVersion("1.0"), SchemaVersion("1.1"))}


@pytest.fixture(scope="module")
def trust() -> TrustList:
    """Two members with a key of each use."""
    members = (
        member_of(CountryCode(name), generate_keys(), now=NOW, authorities=(OFFICE,), messages=MESSAGES)
        for name in ("EE", "FI")
    )
    return TrustList(version=3, members={member.country: member for member in members})


@pytest.fixture
def data(trust: TrustList) -> Any:
    """Its JSON form, free to be spoilt."""
    return copy.deepcopy(encode_trust_list(trust))


def test_written_and_read_is_the_same_value(trust: TrustList, data: Any) -> None:
    """Encoding and parsing are each other's reverse, also over JSON text."""
    assert parse_trust_list(json.loads(json.dumps(data))) == trust


def test_every_state_of_a_member_survives(trust: TrustList) -> None:
    """Suspension, paper counterparts and revocation are kept."""
    member = trust.members[CountryCode("EE")]
    key = replace(member.keys[0], revoked_at=NOW + timedelta(days=1))
    changed = replace(member, status=MemberStatus.SUSPENDED, kind=MemberKind.PAPER, keys=(key,), messages={})
    listed = TrustList(version=1, members={member.country: changed})

    assert parse_trust_list(encode_trust_list(listed)) == listed


def test_offices_kind_messages_and_revocation_may_be_absent(data: Any) -> None:
    """Left out, they are: no office, a State, no message, not revoked."""
    member = data["members"]["EE"]
    for name in ("authorities", "kind", "messages"):
        del member[name]
    del member["keys"][0]["revoked_at"]

    parsed = parse_trust_list(data).members[CountryCode("EE")]
    assert (parsed.authorities, parsed.kind, dict(parsed.messages)) == ((), MemberKind.STATE, {})
    assert parsed.keys[0].revoked_at is None


def _set(*path: str | int) -> Callable[[Any, Any], None]:
    """Return a function that puts a value at that place."""

    def put(data: Any, value: Any) -> None:
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return put


EE = ("members", "EE")
KEY = (*EE, "keys", 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 0),
        (("version",), True),
        (("version",), "3"),
        (("members",), {}),
        (("members",), []),
        (("members", "EL"), {}),
        (("members", "SE"), []),
        ((*EE, "status"), "GONE"),
        ((*EE, "kind"), "CITY"),
        ((*EE, "colour"), "red"),
        ((*EE, "keys"), {}),
        ((*KEY, "jwk"), {}),
        ((*KEY, "jwk", "use"), "sig"),
        ((*KEY, "jwk", "pub"), "AAAA"),
        ((*KEY, "not_before"), "2026-11-22T03:00:00.000Z"),
        ((*KEY, "not_before"), "2026-11-22T03:00:00+00:00"),
        ((*KEY, "not_before"), 1),
        ((*KEY, "sign_until"), "2026-13-22T03:00:00Z"),
        ((*KEY, "sign_until"), "2026-11-22T03:00:00Z"),
        ((*KEY, "accept_until"), "2028-01-20T02:59:59Z"),
        ((*KEY, "revoked_at"), "never"),
        ((*KEY, "note"), "x"),
        ((*EE, "authorities", 0, "id"), "Ämt"),
        ((*EE, "authorities", 0, "name"), " "),
        ((*EE, "authorities", 0, "name"), "two\nlines"),
        ((*EE, "authorities", 0, "languages", 0), "Estonian"),
        ((*EE, "messages", "Family"), ["1.0"]),
        ((*EE, "messages", "family-tracing.request"), []),
        ((*EE, "messages", "family-tracing.request"), ["1.1", "1.0"]),
        ((*EE, "messages", "family-tracing.request"), ["1.0", "1.0"]),
    ],
)
def test_wrong_member_is_refused_at_its_place(data: Any, path: tuple[str | int, ...], value: Any) -> None:
    """Whatever is wrong, the error points into that member or at it."""
    if value == "2028-01-20T02:59:59Z":  # a second less than sixty days after sign_until
        data["members"]["EE"]["keys"][1]["sign_until"] = "2027-11-21T03:00:00Z"
    _set(*path)(data, value)

    with pytest.raises(TrustListInvalid) as raised:
        parse_trust_list(data)

    where = raised.value.where or ""
    pointer = "".join(f"/{part}" for part in path)
    assert where.startswith(pointer) or pointer.startswith(where.rstrip("/"))
    assert where.count("/") >= min(len(path), 2) - (path[-1] == "EL")


@pytest.mark.parametrize("name", ["version", "members"])
def test_missing_member_is_named(data: Any, name: str) -> None:
    """Both members of the list are needed."""
    del data[name]

    with pytest.raises(TrustListInvalid) as raised:
        parse_trust_list(data)
    assert raised.value.where == f"/{name}"


def test_sixty_days_of_acceptance_are_enough(data: Any) -> None:
    """Exactly the longest life of an envelope is allowed, a second less is not."""
    key = data["members"]["EE"]["keys"][0]
    key["sign_until"], key["accept_until"] = "2027-01-01T00:00:00Z", "2027-03-02T00:00:00Z"
    parse_trust_list(data)

    key["accept_until"] = "2027-03-01T23:59:59Z"
    with pytest.raises(TrustListInvalid, match="60 days"):
        parse_trust_list(data)


@pytest.mark.parametrize("other", ["EE", "FI"])
def test_key_listed_twice_is_refused(data: Any, other: str) -> None:
    """A key speaks for one member, once; anything else lets one country sign as another."""
    data["members"][other]["keys"].append(data["members"]["EE"]["keys"][0])

    with pytest.raises(TrustListInvalid, match="listed before") as raised:
        parse_trust_list(data)
    assert raised.value.where == f"/members/{other}/keys/3"


def test_office_listed_twice_is_refused(data: Any) -> None:
    """An office has one entry."""
    data["members"]["EE"]["authorities"] *= 2

    with pytest.raises(TrustListInvalid) as raised:
        parse_trust_list(data)
    assert raised.value.where == "/members/EE/authorities"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(value=_JSON, place=st.sampled_from([(), ("members",), ("members", "EE"), ("members", "EE", "keys")]))
def test_any_json_parses_or_is_trust_list_invalid(value: Any, place: tuple[str, ...]) -> None:
    """Nothing but the documented error comes out, wherever odd JSON stands."""
    data: Any = {"version": 1, "members": {"EE": {"status": "ACTIVE", "keys": []}}}
    if place:
        _set(*place)(data, value)
    else:
        data = value

    try:
        parse_trust_list(data)
    except TrustListInvalid:
        return
    assert value in ([], {})


# --- the file -------------------------------------------------------------------------------------------------------


def put(path: Path, text: str | None) -> None:
    """Put that text there, or take the file away."""
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")


def write(path: Path, data: Any) -> None:
    """Put a trust list there as it is."""
    put(path, json.dumps(data))


@pytest.fixture
def path(tmp_path: Path, data: Any) -> Path:
    """A good trust list of version 3."""
    write(tmp_path / "members.json", data)
    return tmp_path / "members.json"


async def test_newer_list_comes_into_force(path: Path, trust: TrustList, data: Any) -> None:
    """A refresh after a new version says so, and the new one is current."""
    clock = HandClock()
    source = FileTrustSource(path, clock)
    assert source.current() == trust
    clock.advance(60)

    write(path, {**data, "version": 4})

    assert await source.refresh() is True
    assert source.current().version == 4
    assert source.checked == clock.now()
    assert await source.refresh() is False


async def test_unchanged_list_is_no_news(path: Path, trust: TrustList) -> None:
    """The same file again changes nothing."""
    source = FileTrustSource(path, HandClock())

    assert await source.refresh() is False
    assert source.current() == trust


async def test_bad_newer_list_leaves_the_previous_in_force(path: Path, trust: TrustList, data: Any) -> None:
    """Rollback, quiet change, rubbish, a name twice, a missing or endless file: refused, and nothing changes."""
    clock = HandClock()
    source = FileTrustSource(path, clock)
    before = source.checked
    clock.advance(60)
    changed = copy.deepcopy(data)
    changed["members"]["EE"]["status"] = "SUSPENDED"
    bad = [
        json.dumps({**data, "version": 2}),
        json.dumps(changed),
        "{",
        '{"version": 4, "version": 4, "members": {}}',
        "[" * 100_000,
        " " * (4 * 1024 * 1024 + 1),
    ]
    for text in bad:
        put(path, text)
        with pytest.raises(TrustListInvalid) as raised:
            await source.refresh()
        assert (raised.value.where or "").startswith(str(path))
    put(path, None)
    with pytest.raises(TrustListInvalid, match="FileNotFoundError"):
        await source.refresh()

    assert source.current() == trust
    assert source.checked == before


def test_no_list_at_the_start_is_an_error(tmp_path: Path) -> None:
    """Without a previous list there is nothing to go on with."""
    with pytest.raises(TrustListInvalid):
        FileTrustSource(tmp_path / "members.json", HandClock())


def test_error_in_a_file_names_file_and_place(path: Path, data: Any) -> None:
    """The officer who mends it learns where to look."""
    data["members"]["FI"]["keys"][2]["sign_until"] = "soon"
    write(path, data)

    with pytest.raises(TrustListInvalid) as raised:
        read_trust_list(path)
    assert raised.value.where == f"{path}: /members/FI/keys/2/sign_until"


def test_list_written_by_the_home_maker_reads_back(tmp_path: Path, trust: TrustList) -> None:
    """`write_trust_list` writes what `read_trust_list` reads."""
    written = write_trust_list(tmp_path / "trust" / "members.json", 7, trust.members.values())

    assert read_trust_list(tmp_path / "trust" / "members.json") == written == replace(trust, version=7)
