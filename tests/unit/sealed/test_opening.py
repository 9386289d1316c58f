# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about opening a message at the receiving office. What is refused part by part is in the vectors."""

from __future__ import annotations

from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.errors import BadRequest
from broker.core.ids import CountryCode, ProcedureId
from broker.core.sealed_parts import put, value_at
from broker.core.trust import TrustList
from broker.sealed.opening import open_parts, surroundings_of
from broker.sealed.sealing import seal_submission
from broker.testing.offices import authority_key, office, opener_of
from tests.unit.sealed.conftest import NOW, RECIPIENT

PLACE = "/care/carer/value/contact_sealed"
PROCEDURE = "01920000-0000-7000-8000-000000000001"


@pytest.fixture
def message(clear: dict[str, Any], trust: TrustList, catalogue: Catalogue) -> dict[str, Any]:
    """The message as Finland's node gives it."""
    sealed = seal_submission(clear, country=CountryCode("EE"), trust=trust, catalogue=catalogue, now=NOW).data
    header = {
        "type": sealed["type"],
        "version": sealed["version"],
        "sender": {"country": "EE", **sealed["sender"]},
        "recipient": sealed["recipient"],
        "procedure": {"id": PROCEDURE},
        "exercise": False,
    }
    return {"header": header, "body": sealed["body"]}


def test_every_part_is_given_in_clear(message: dict[str, Any], clear: dict[str, Any], catalogue: Catalogue) -> None:
    """The body reads as it was written; the given one is not changed."""
    around, body = surroundings_of(message)
    opened = open_parts(around, body, opener=opener_of(RECIPIENT), catalogue=catalogue)
    assert (opened.body, opened.faults) == (clear["body"], ())
    assert PLACE in opened.opened
    assert "jwe" in value_at(body, PLACE)


@pytest.mark.parametrize("form", ["whole", "content", "flat"])
def test_a_message_is_read_in_each_form_in_which_it_is_given(message: dict[str, Any], form: str) -> None:
    """The command's, the API's, and the file drop's."""
    given = {
        "whole": message,
        "content": {"id": "x", "content": message},
        "flat": {**message["header"], "body": message["body"]},
    }
    around, body = surroundings_of(given[form])
    assert (around.recipient, around.procedure) == (RECIPIENT, ProcedureId(PROCEDURE))
    assert body is message["body"]


@pytest.mark.parametrize(
    "other", [None, [], {}, {"body": 1}, {"body": {}}, {"header": {}, "body": {}}, {"header": 5, "body": {}}]
)
def test_what_is_no_message_is_refused(other: Any) -> None:
    """Whatever somebody hands in."""
    with pytest.raises(BadRequest):
        surroundings_of(other)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"recipient": {"country": "FI", "authority": "court"}}, "header-mismatch"),
        ({"sender": {"country": "EE", "authority": "court"}}, "header-mismatch"),
        ({"exercise": True}, "header-mismatch"),
        ({"type": "placement.order"}, "header-mismatch"),
    ],
)
def test_a_part_in_another_message_is_a_fault(
    message: dict[str, Any], catalogue: Catalogue, change: dict[str, Any], code: str
) -> None:
    """It stays sealed, and the rest of the body is given all the same."""
    around, body = surroundings_of({**message, "header": {**message["header"], **change}})
    opened = open_parts(around, body, opener=opener_of(RECIPIENT), catalogue=catalogue)
    assert opened.opened == ()
    assert {fault.code for fault in opened.faults} == {code}
    assert opened.body == body


def test_a_word_changed_around_a_part_is_a_fault(message: dict[str, Any], catalogue: Catalogue) -> None:
    """A part tells about the person beside it, and about nobody else."""
    changed = {**message["body"], "reasons": "About somebody else."}
    around, body = surroundings_of({**message, "body": changed})
    opened = open_parts(around, body, opener=opener_of(RECIPIENT), catalogue=catalogue)
    assert {fault.code for fault in opened.faults} == {"header-mismatch"}


def test_one_faulty_part_does_not_keep_the_others_sealed(
    clear: dict[str, Any], trust: TrustList, catalogue: Catalogue
) -> None:
    """Each is judged by itself, and the fault says which one it is."""
    both = {**clear, "body": {**clear["body"], "handling_sealed": {"note": "Invented."}}}
    sealed = seal_submission(both, country=CountryCode("EE"), trust=trust, catalogue=catalogue, now=NOW).data
    part = value_at(sealed["body"], PLACE)
    tag = part["jwe"]["tag"]
    spoiled = {**part, "jwe": {**part["jwe"], "tag": ("B" if tag[0] == "A" else "A") + tag[1:]}}
    flat = {**sealed, "sender": {"country": "EE", **sealed["sender"]}, "body": put(sealed["body"], PLACE, spoiled)}
    around, body = surroundings_of(flat)
    opened = open_parts(around, body, opener=opener_of(RECIPIENT), catalogue=catalogue)
    assert opened.opened == ("/handling_sealed",)
    assert [(fault.place, fault.code) for fault in opened.faults] == [(PLACE, "decrypt-failed")]
    assert opened.body["handling_sealed"] == {"note": "Invented."}


def test_an_inside_that_does_not_fit_is_a_fault_that_tells_no_value(
    clear: dict[str, Any], trust: TrustList, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that does not check what it seals is found out here, and here alone."""
    wrong = {**clear, "body": put(clear["body"], PLACE, {"street": "Test-Hidden"})}
    with monkeypatch.context() as patch:
        patch.setattr(type(catalogue), "explain_part", lambda *_, **__: ())
        sealed = seal_submission(wrong, country=CountryCode("EE"), trust=trust, catalogue=catalogue, now=NOW).data
    around, body = surroundings_of({**sealed, "sender": {"country": "EE", **sealed["sender"]}})
    opened = open_parts(around, body, opener=opener_of(RECIPIENT), catalogue=catalogue)
    (fault,) = opened.faults
    assert (fault.code, fault.place) == ("schema-invalid", PLACE)
    assert fault.where.startswith(PLACE)
    assert "Test-Hidden" not in repr(opened.faults)


def test_a_rotated_key_opens_as_long_as_the_office_keeps_it(
    message: dict[str, Any], clear: dict[str, Any], catalogue: Catalogue
) -> None:
    """Old and new keys stand in one vault; the newer alone does not open the old."""
    around, body = surroundings_of(message)
    assert open_parts(around, body, opener=opener_of(RECIPIENT, 1, 2), catalogue=catalogue).body == clear["body"]
    without = open_parts(around, body, opener=opener_of(RECIPIENT, 2), catalogue=catalogue)
    assert {fault.code for fault in without.faults} == {"unknown-recipient-key"}
    assert authority_key(office("FI/x")).kid != authority_key(office("FI/y")).kid
