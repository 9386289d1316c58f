# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The demonstration federation in `keys/demo` is a whole and rightly signed one, without anything private in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from types import SimpleNamespace

import pytest

from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import MemberKind
from broker.schema_files import list_profiles, read_schema_file
from broker.trust import layout
from broker.trust.client import Fetched, TrustClient
from broker.trust.federation_documents import read_federation
from broker.trust.fetching import FolderSource
from broker.trust.officer_keys import read_officer
from broker.trust.repository import Repository

DEMO = Path(__file__).parents[3] / "keys" / "demo"
ROOT = DEMO / "trust" / "metadata" / "1.root.json"
MADE = datetime(2026, 11, 22, 9, tzinfo=UTC)  # shortly after it was published
STATES, PAPER = {"EE", "FI", "SE"}, {"DE", "DK", "LT", "LV", "NO"}


def fetch_on(day: datetime, monkeypatch: pytest.MonkeyPatch) -> Fetched:
    """Read the list as a node would have done on that day."""

    class OnThatDay(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> OnThatDay:
            return cls.fromtimestamp(day.timestamp(), tz)

    clock = SimpleNamespace(datetime=OnThatDay, timezone=timezone)
    monkeypatch.setattr("tuf.ngclient._internal.trusted_metadata_set.datetime", clock)
    return TrustClient(FolderSource(DEMO / "trust"), ROOT.read_bytes()).fetch()


def test_a_node_believed_it_on_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every signature, threshold, version and hash holds; three states with their offices, and eight profiles."""
    fetched = fetch_on(MADE, monkeypatch)
    assert fetched.troubles == ()
    assert set(fetched.trust.profiles) == set(list_profiles()) == STATES | PAPER
    members = fetched.trust.members
    assert {country for country in members if members[country].kind is MemberKind.STATE} == STATES
    for country in STATES:
        member = members[CountryCode(country)]
        assert (len(member.keys), len(member.authorities) >= 1) == (3, True)
    assert fetched.document.catalogue is None


def test_nobody_believes_it_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs out like every list, and nobody can renew it."""
    with pytest.raises(TrustListInvalid) as caught:
        fetch_on(MADE + timedelta(days=31), monkeypatch)
    assert caught.value.rule == "expired"


def test_it_says_what_it_is() -> None:
    """The name that is signed says that it is a demonstration."""
    raw = Repository(DEMO / "trust").document(layout.FEDERATION)
    assert raw is not None
    assert read_federation(raw).name.startswith("DEMONSTRATION")


def test_the_profiles_are_those_of_the_schemas() -> None:
    """What the officers signed is what the profiles' own folder said that day, country by country."""
    repository = Repository(DEMO / "trust")
    for country, path in list_profiles().items():
        signed = repository.document(layout.profile_path(CountryCode(country)))
        assert signed is not None
        assert json.loads(signed)["country"] == json.loads(read_schema_file(path))["country"] == country


def test_two_of_three_officers_sign_for_everybody() -> None:
    """The officers' public files are those that the list names; nobody signs alone, and the publisher signs no list."""
    repository = Repository(DEMO / "trust")
    files = {path.stem: read_officer(path.read_bytes(), where=path.name) for path in (DEMO / "officers").glob("*.json")}
    assert len(files) == 13
    for role, prefix in {layout.TARGETS: "federation", **{country: country.lower() for country in STATES}}.items():
        signers = repository.signers(role)
        named = {officer for name, officer in files.items() if name.startswith(f"{prefix}-")}
        assert (set(signers.officers), signers.threshold) == (named, 2)
    assert repository.staged() == ()


def test_nothing_in_it_is_private() -> None:
    """Only public documents of known forms lie there; no member of any of them is a private part or a passphrase."""
    names = set()
    for file in DEMO.rglob("*"):
        if file.is_file() and file.name != "README.md":
            assert file.suffix == ".json"
            names |= _names(json.loads(file.read_bytes()))
    assert not names & {
        "d",
        "priv",
        "seed",
        "private",
        "material",
        "wrapped",
        "ciphertext",
        "kdf",
        "salt",
        "passphrase",
    }
    assert {"public", "signatures", "sig"} <= names


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in _names(item)}
    return {name for item in value for name in _names(item)} if isinstance(value, list) else set()
