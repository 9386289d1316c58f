# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about a country's request to join."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import CeremonyRefused, TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import Member
from broker.testing.trust import TrustOffice, make_officers, signers
from broker.trust.client import TrustClient
from broker.trust.fetching import FolderSource
from broker.trust.joining import JoiningRequest, admit, prepare_joining, read_joining, write_joining
from broker.trust.layout import member_path
from broker.trust.member_documents import write_member

FI = CountryCode("FI")
PATH = member_path(FI)


@pytest.fixture
def office(tmp_path: Path, ee: Member, now: datetime) -> TrustOffice:
    """A federation with one member."""
    made = TrustOffice.create(tmp_path / "trust", officers=2, threshold=2, now=now)
    made.add(ee, now=now)
    made.publish(now=now)
    return made


@pytest.fixture
def request_of_fi(fi: Member, now: datetime) -> JoiningRequest:
    """What FI hands over: two of three officers have signed."""
    keys = make_officers(FI, 3)
    return prepare_joining(FI, signers(keys, 2), keys[:2], {PATH: write_member(fi)}, now=now)


def test_a_request_reads_back_as_it_was_written(request_of_fi: JoiningRequest) -> None:
    """The file holds everything, byte for byte."""
    again = read_joining(write_joining(request_of_fi), where="fi.json")
    assert again == request_of_fi


def test_a_country_is_admitted_with_what_it_signed(
    office: TrustOffice, request_of_fi: JoiningRequest, now: datetime
) -> None:
    """The federation's officers sign the delegation; the country's own list needs nobody any more."""
    admit(office.repository, request_of_fi, now=now)
    staged = {item.role: item for item in office.repository.staged()}
    assert set(staged) == {"targets", "FI"}
    assert staged["FI"].complete
    assert not staged["targets"].complete
    office.sign("targets")
    office.repository.publish(office.online, now=now)
    assert office.repository.staged() == ()
    assert office.repository.document(PATH) == request_of_fi.documents[PATH]


def test_too_few_signatures_make_no_request(fi: Member, now: datetime) -> None:
    """One of two is not enough, and a stranger's key counts for nothing."""
    keys, stranger = make_officers(FI, 3), make_officers(FI, 1)
    with pytest.raises(CeremonyRefused, match="too few"):
        prepare_joining(FI, signers(keys, 2), keys[:1], {PATH: write_member(fi)}, now=now)
    with pytest.raises(CeremonyRefused, match="not one of"):
        prepare_joining(FI, signers(keys, 2), [keys[0], stranger[0]], {PATH: write_member(fi)}, now=now)


def test_a_changed_document_stages_nothing(
    office: TrustOffice, request_of_fi: JoiningRequest, ee: Member, now: datetime
) -> None:
    """Whoever carries the file cannot put in another key."""
    changed = replace(request_of_fi, documents={PATH: write_member(replace(ee, country=FI))})
    with pytest.raises(CeremonyRefused, match="not the one that was signed"):
        admit(office.repository, changed, now=now)
    assert office.repository.staged() == ()


def test_other_officers_than_signed_stage_nothing(
    office: TrustOffice, request_of_fi: JoiningRequest, now: datetime
) -> None:
    """The signatures must be those of the officers whose words were compared."""
    swapped = replace(request_of_fi, signers=signers(make_officers(FI, 3), 2))
    with pytest.raises(CeremonyRefused, match="Not enough"):
        admit(office.repository, swapped, now=now)
    assert office.repository.staged() == ()
    assert FI not in office.repository.federation().members


def test_a_member_does_not_join_again(office: TrustOffice, request_of_fi: JoiningRequest, now: datetime) -> None:
    """Else a request would take a member's name over."""
    admit(office.repository, request_of_fi, now=now)
    with pytest.raises(CeremonyRefused, match="already"):
        admit(office.repository, request_of_fi, now=now)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "trm-joining/2"}, {"country": "SE"}, {"threshold": 0}, {"threshold": True}, {"threshold": 9},
        {"documents": {}}, {"documents": {"members/SE.json": "e30"}}, {"documents": {PATH: "e30="}}, {"signed": 1}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_of_another_form_is_refused(request_of_fi: JoiningRequest, change: dict[str, Any]) -> None:
    """One thing wrong at a time: nothing of it is believed."""
    data = {**json.loads(write_joining(request_of_fi)), **change}
    with pytest.raises((TrustListInvalid, CeremonyRefused)):
        read_joining(json.dumps(data).encode(), where="fi.json")


def _leave(office: TrustOffice, now: datetime) -> None:
    office.sign("targets")
    office.repository.publish(office.online, now=now)
    office.repository.remove_member(FI, now=now)
    office.sign("targets")
    office.repository.publish(office.online, now=now)


def test_a_first_list_of_a_country_that_left_stages_nothing(
    office: TrustOffice, request_of_fi: JoiningRequest, now: datetime
) -> None:
    """Nodes would take it for an older one: the refusal says which version the country signs instead."""
    admit(office.repository, request_of_fi, now=now)
    _leave(office, now)
    with pytest.raises(CeremonyRefused, match="--version 2"):
        admit(office.repository, request_of_fi, now=now)
    assert office.repository.staged() == ()


def test_a_country_that_left_joins_again_by_request(tmp_path: Path, ee: Member, fi: Member) -> None:
    """New officers, new signatures, the next version: a node that knew the country before believes the list with it."""
    today = datetime.now(UTC).replace(microsecond=0)  # TUF looks at the clock itself
    office = TrustOffice.create(tmp_path / "trust", now=today)
    office.add(ee, now=today)
    keys = make_officers(FI, 3)
    admit(
        office.repository,
        prepare_joining(FI, signers(keys, 2), keys[:2], {PATH: write_member(fi)}, now=today),
        now=today,
    )
    office.sign("root", "targets", "EE")
    office.repository.publish(office.online, now=today)
    client = TrustClient(FolderSource(office.folder), office.root)
    first = client.fetch()
    _leave(office, today)
    without = client.fetch(first.document, first.memory)
    assert FI not in without.trust.members

    fresh = make_officers(FI, 2)
    again = prepare_joining(FI, signers(fresh, 1), fresh[:1], {PATH: write_member(fi)}, version=2, now=today)
    admit(office.repository, again, now=today)
    office.sign("targets")
    office.repository.publish(office.online, now=today)
    back = client.fetch(without.document, without.memory)
    assert back.troubles == ()
    assert back.trust.members[FI].keys == fi.keys
    assert back.document.sources["FI"] == 2
