# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How country profiles and the arrangement register come out of a signed trust list."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.arrangements import judge
from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import Member, RevocationReason
from broker.schema_files import list_profiles, read_schema_file
from broker.testing.trust import TrustOffice
from broker.trust import layout
from broker.trust.client import TrustClient
from broker.trust.fetching import FolderSource
from broker.trust.list_documents import read_list, trust_list_of, write_list

EE, FI = CountryCode("EE"), CountryCode("FI")
REGISTER = (Path(__file__).parents[3] / "keys" / "demo" / "arrangements.json").read_bytes()
PROFILE = read_schema_file(list_profiles()["EE"])


@pytest.fixture
def moment() -> datetime:
    """Now: TUF's own Updater judges expiry by the clock of the machine."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def office(tmp_path: Path, ee: Member, fi: Member, moment: datetime) -> TrustOffice:
    """A federation of Estonia and Finland, with Estonia's profile and a register."""
    made = TrustOffice.create(tmp_path / "repository", now=moment)
    for member in (ee, fi):
        made.add(member, now=moment)
    made.repository.set_document(layout.ARRANGEMENTS, REGISTER, now=moment)
    made.repository.set_document(layout.profile_path(EE), PROFILE, now=moment)
    made.publish(now=moment)
    return made


def _client(office: TrustOffice) -> TrustClient:
    return TrustClient(FolderSource(office.folder), office.root)


def test_what_was_signed_is_what_the_node_works_with(office: TrustOffice) -> None:
    """The value carries the profile and the register, also when it is read back from what is stored."""
    fetched = _client(office).fetch()
    for trust in (fetched.trust, trust_list_of(read_list(write_list(fetched.document)))):
        assert set(trust.profiles) == {EE}
        assert len(trust.profiles[EE].newest.entry("placement.requires").value) == 13
        assert judge(trust.arrangements, "family-tracing", EE, FI, datetime(2026, 11, 22, tzinfo=UTC).date()).allowed
        assert not judge(trust.arrangements, "placement", EE, FI, datetime(2026, 11, 22, tzinfo=UTC).date()).allowed


def test_a_profile_that_cannot_be_read_holds_back_no_key(
    office: TrustOffice, ee: Member, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member's newer document is taken, its previous profile stays, and a person is told."""
    held = _client(office).fetch()
    newer = json.loads(PROFILE)
    newer["versions"][0]["answers"]["weather"] = {}  # a section of a newer program
    monkeypatch.setattr("broker.trust.checking.read_profile_of", lambda *_, **__: None)
    office.repository.set_document(layout.profile_path(EE), json.dumps(newer).encode(), now=moment)
    office.repository.revoke_key(EE, ee.keys[0].kid, reason=RevocationReason.COMPROMISED, at=moment, now=moment)
    office.publish(now=moment)

    fetched = _client(office).fetch(held.document, held.memory)
    assert [(trouble.country, "/weather" in trouble.detail) for trouble in fetched.troubles] == [(EE, True)]
    assert fetched.trust.members[EE].keys[0].revoked_at is not None
    assert fetched.trust.profiles == held.trust.profiles


def test_a_register_that_cannot_be_read_leaves_the_register_as_it_was(
    office: TrustOffice, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The register in force stays and is told of; a node that only begins has none, and does not begin."""
    held = _client(office).fetch()
    monkeypatch.setattr("broker.trust.checking.read_arrangements", lambda *_, **__: None)
    office.repository.set_document(layout.ARRANGEMENTS, b'{"format": "trm-arrangements/2"}', now=moment)
    office.publish(now=moment)
    for _ in range(2):  # the second look begins with what the first one left
        fetched = _client(office).fetch(held.document, held.memory)
        assert [(item.country, item.document) for item in fetched.troubles] == [(None, layout.ARRANGEMENTS)]
        assert fetched.trust.arrangements == held.trust.arrangements is not None
        held = fetched
    with pytest.raises(TrustListInvalid) as refused:
        _client(office).fetch()
    assert refused.value.where == "arrangements.json: /format"
