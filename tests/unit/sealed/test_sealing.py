# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about sealing a submission at the sending office."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.errors import (
    AuthorityKeyMissing,
    BadRequest,
    SchemaInvalid,
    TooLargeToSend,
    UnknownRecipient,
    VersionNotSupported,
)
from broker.core.ids import CountryCode
from broker.core.sealed_parts import is_sealed_part, put, value_at
from broker.core.trust import TrustList
from broker.sealed.opening import open_parts, surroundings_of
from broker.sealed.sealing import SealedSubmission, seal_submission
from broker.testing.offices import authority_key, opener_of
from tests.unit.sealed.conftest import NOW, RECIPIENT, SENDER

PLACE = "/care/carer/value/contact_sealed"


def seal(data: Any, trust: TrustList, catalogue: Catalogue, **changes: Any) -> SealedSubmission:
    """Seal it as Estonia's office."""
    options = {"country": CountryCode("EE"), "trust": trust, "catalogue": catalogue, "now": NOW}
    return seal_submission(data, **{**options, **changes})


def test_what_the_schema_marks_is_sealed_and_nothing_else(
    clear: dict[str, Any], trust: TrustList, catalogue: Catalogue
) -> None:
    """The rest stays as it was written, the whole fits its schema, and no word of the inside is left."""
    sealed = seal(clear, trust, catalogue)
    assert PLACE in sealed.places
    assert all(is_sealed_part(value_at(sealed.data["body"], place)) for place in sealed.places)
    rest = sealed.data["body"]
    for place in sealed.places:
        rest = put(rest, place, value_at(clear["body"], place))
    assert rest == clear["body"]
    assert catalogue.explain_submission(sealed.data) == ()
    assert "Test-Street" not in json.dumps(sealed.data)
    assert sealed.copy is None
    assert sealed.data["version"] == "1.0"


def test_the_sending_office_can_open_its_own_copy_and_the_other_office_cannot(
    clear: dict[str, Any], trust: TrustList, catalogue: Catalogue
) -> None:
    """What was sent can be shown later to the person it is about, by whoever sent it."""
    copy = seal(clear, trust, catalogue, own=authority_key(SENDER)).copy
    assert copy is not None
    around, body = surroundings_of({**copy, "sender": {"country": "EE", **copy["sender"]}})
    opened = open_parts(around, body, opener=opener_of(SENDER), catalogue=catalogue)
    assert (opened.body, opened.faults) == (clear["body"], ())
    others = open_parts(around, body, opener=opener_of(RECIPIENT), catalogue=catalogue)
    assert {fault.code for fault in others.faults} == {"unknown-recipient-key"}


def test_an_inside_that_does_not_fit_is_never_sealed(
    clear: dict[str, Any], trust: TrustList, catalogue: Catalogue
) -> None:
    """The place inside is told, the value is not: nobody could tell after sealing."""
    for inside in ({"street": "Test-Hidden"}, {"address": {"country": "QQ"}}, "Test-Hidden", None):
        body = put(clear["body"], PLACE, inside)
        with pytest.raises(SchemaInvalid) as caught:
            seal({**clear, "body": body}, trust, catalogue)
        assert (caught.value.where or "").startswith(f"/body{PLACE}")
        assert "Test-Hidden" not in str(caught.value)


def test_what_is_wrong_around_the_parts_is_told_too(
    clear: dict[str, Any], trust: TrustList, catalogue: Catalogue
) -> None:
    """An office learns it at its own desk."""
    with pytest.raises(SchemaInvalid):
        seal({**clear, "body": {**clear["body"], "unheard": 1}}, trust, catalogue)


def test_a_part_is_sealed_once(clear: dict[str, Any], trust: TrustList, catalogue: Catalogue) -> None:
    """Sealing what is sealed would bind it to nothing that anybody checked."""
    with pytest.raises(BadRequest):
        seal(seal(clear, trust, catalogue).data, trust, catalogue)


def test_an_office_without_a_usable_key_gets_nothing_sealed(
    clear: dict[str, Any], trust: TrustList, catalogue: Catalogue
) -> None:
    """Not yet valid, past its time, or none at all: the code says so and who must act."""
    for now in (NOW - timedelta(days=2), NOW + timedelta(days=364)):
        with pytest.raises(AuthorityKeyMissing) as caught:
            seal(clear, trust, catalogue, now=now)
        assert caught.value.who == "federation"


def test_an_unknown_office_or_version_is_refused(clear: dict[str, Any], trust: TrustList, catalogue: Catalogue) -> None:
    """What nobody could take is not sealed."""
    nobody = {**clear, "recipient": {"country": "FI", "authority": "nobody"}}
    with pytest.raises(UnknownRecipient):
        seal(nobody, trust, catalogue)
    finland = replace(trust.members[CountryCode("FI")], messages={})
    unversioned = {name: value for name, value in clear.items() if name != "version"}
    with pytest.raises(VersionNotSupported):
        seal(unversioned, replace(trust, members={**trust.members, finland.country: finland}), catalogue)


def test_text_is_composed_as_the_node_would_compose_it(
    clear: dict[str, Any], trust: TrustList, catalogue: Catalogue
) -> None:
    """Decomposed letters around a part must not tie it to a text that the node never sends."""
    decomposed = {**clear, "body": {**clear["body"], "reasons": "Kodu ja pere, so\u0303ber."}}
    sealed = seal(decomposed, trust, catalogue)
    assert sealed.data["body"]["reasons"] == "Kodu ja pere, s\u00f5ber."


def test_a_part_larger_than_any_is_refused(
    trust: TrustList, catalogue: Catalogue, clear: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is told before anything leaves."""
    monkeypatch.setattr(type(catalogue), "explain_part", lambda *_, **__: ())
    huge = {**clear, "body": {**clear["body"], "handling_sealed": {"note": "\u00e4" * 140_000}}}
    with pytest.raises(TooLargeToSend):
        seal(huge, trust, catalogue)
