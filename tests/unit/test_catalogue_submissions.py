# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A submission's JSON becomes typed, or is refused at its place."""

from __future__ import annotations

import copy
import json
import unicodedata
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.catalogue.submissions import normalised
from broker.core import canonical
from broker.core.errors import BadRequest, SchemaInvalid, UnknownType
from broker.core.ids import MessageType, ProcedureId
from broker.schema_files import load_catalogue, read_schema_file

EXAMPLE = json.loads(read_schema_file("examples/demo/request.json"))
CANARY = "Zzyzx-Kanarilind"


@cache
def catalogue():
    """The program's own; read when a test first needs it, not by each worker that collects tests."""
    return load_catalogue()


def _parse(data):
    return catalogue().parse_submission(data, actor="officer-1", route="api", idempotency_key="k-1")


def test_an_example_becomes_a_submission():
    """Each member arrives at its field, and who asked is kept beside it."""
    data = {**EXAMPLE, "procedure": "019ab6c8-1c00-7a00-8a00-000000000001"}

    found = _parse(data)

    assert (found.type, found.version, found.sender_authority) == (
        "family-tracing.request",
        "1.0",
        "social-insurance-board",
    )
    assert (found.recipient.country, found.recipient.authority) == ("FI", "helsinki-wellbeing-services")
    assert (found.procedure, found.legal_basis.code, found.urgency) == (data["procedure"], "B2B_80_1_B", "PRIORITY")
    assert (found.purpose, found.language, found.exercise) == (data["purpose"], "en", False)
    assert (found.actor, found.route, found.idempotency_key) == ("officer-1", "api", "k-1")
    assert found.body == EXAMPLE["body"]


def test_what_may_be_absent_is_absent():
    """Without version, procedure and exercise it opens a new, real procedure in the newest version."""
    data = {name: item for name, item in EXAMPLE.items() if name not in {"version", "exercise"}}

    found = _parse(data)

    assert (found.version, found.procedure, found.exercise) == (None, None, False)


def test_our_own_identifiers_come_back_as_texts():
    """An adapter may put the procedure that the node accepted into its next submission as it got it."""
    procedure = ProcedureId("019ab6c8-1c00-7a00-8a00-000000000001")

    assert _parse({**EXAMPLE, "procedure": procedure}).procedure == procedure


def test_composing_normalises_texts_and_leaves_the_input_alone():
    """Decomposed characters become NFC in the submission; the caller's object is not changed."""
    data = copy.deepcopy(EXAMPLE)
    data["body"]["note"] = "Na\u0308idis"
    before = copy.deepcopy(data)

    found = _parse(data)

    assert found.body["note"] == unicodedata.normalize("NFC", "Näidis")
    assert data == before


def test_a_whole_number_with_a_point_is_a_whole_number():
    """12.0 means 12: the canonical form knows one spelling."""
    data = copy.deepcopy(EXAMPLE)
    data["body"]["child"]["birth"] = {"value": {"age_years": 12.0, "age_on": "2026-01-01", "estimated": True}}

    age = _parse(data).body["child"]["birth"]["value"]["age_years"]

    assert type(age) is int
    assert catalogue().explain_submission(data) == ()


CASES = {
    "no recipient": (lambda data: data.pop("recipient"), "/recipient"),
    "no country": (lambda data: data["recipient"].pop("country"), "/recipient/country"),
    "a country of the forms": (lambda data: data["recipient"].update(country="EL"), "/recipient/country"),
    "a malformed type": (lambda data: data.update(type="Family Tracing"), "/type"),
    "an unknown urgency": (lambda data: data.update(urgency="NOW"), "/urgency"),
    "an unknown basis": (lambda data: data["legal_basis"].update(code="BECAUSE"), "/legal_basis/code"),
    "national law without citation": (lambda data: data["legal_basis"].update(code="NATIONAL_LAW"), "/legal_basis/citation"),
    "a purpose without end": (lambda data: data.update(purpose="x" * 201), "/purpose"),
    "a body that is a list": (lambda data: data.update(body=[]), "/body"),
    "exercise as a text": (lambda data: data.update(exercise="no"), "/exercise"),
    "an unknown member": (lambda data: data.update(priority=1), "/"),
    "a fraction": (lambda data: data["body"].update(note=1.5), "/body"),
    "a huge number": (lambda data: data["body"].update(note=2**53), "/body"),
    "half a character": (lambda data: data["body"].update(note="\ud800"), "/body"),
    "a foreign member name": (lambda data: data["body"].update({"nimi\u00e4": 1}), "/body"),
    "too deep": (lambda data: data["body"].update(note=json.loads("[" * 30 + "]" * 30)), "/body"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_malformed_submission_is_refused_at_its_place(case):
    """Each fault is refused with the pointer of the member that is wrong."""
    change, where = CASES[case]
    data = copy.deepcopy(EXAMPLE)
    change(data)

    with pytest.raises(SchemaInvalid) as refused:
        _parse(data)

    assert refused.value.where == where
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("data", [None, [], "text", 5])
def test_what_is_no_object_is_a_bad_request(data):
    """Only a JSON object can be a submission."""
    with pytest.raises(BadRequest):
        _parse(data)
    assert catalogue().explain_submission(data) != ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from([*EXAMPLE, "procedure", CANARY]), new=JSON)
def test_any_value_is_taken_or_refused_with_a_documented_error(name, new):
    """Whatever stands in a member, the result is a submission with a canonical form or one of two errors."""
    said = ""
    try:
        assert canonical.dump({"body": _parse({**EXAMPLE, name: new}).body})
    except (BadRequest, SchemaInvalid) as error:
        said = str(error)

    assert CANARY not in said


def test_a_document_is_explained_whole():
    """Faults of the envelope, the body and the legal basis come together, in order, without a value."""
    data = copy.deepcopy(EXAMPLE)
    data["purpose"] = f"{CANARY}\n"
    data["body"]["approach"] = CANARY
    data["body"]["child"]["name"]["given"] = {"value": CANARY, "unknown": True}
    data["legal_basis"] = {"code": "B2B_79_A"}

    found = catalogue().validate_document(data)

    assert [item.pointer for item in found] == [
        "/purpose",
        "/body/approach",
        "/body/child/name/given",
        "/legal_basis/code",
    ]
    assert CANARY not in repr(found)


def test_a_bare_body_is_explained_by_its_type():
    """With a type given the file is the body alone; an unknown type is said so."""
    kind = MessageType("family-tracing.request")

    assert catalogue().validate_document(EXAMPLE["body"], kind=kind) == ()
    assert catalogue().validate_document({}, kind=kind) != ()
    with pytest.raises(UnknownType):
        catalogue().validate_document({}, kind=MessageType("no.such"))


@pytest.mark.parametrize(("member", "value"), [("type", "no.such"), ("version", "9.0")])
def test_a_document_of_an_unknown_type_or_version_is_explained(member, value):
    """The member that names no schema is the one that is wrong."""
    found = catalogue().explain_submission({**EXAMPLE, member: value})

    assert [item.pointer for item in found] == [f"/{member}"]


def _meant(value, depth):
    """Return the normal form as its definition reads, one value at a time."""
    if depth >= canonical.MAX_DEPTH:
        raise ValueError
    if isinstance(value, str):
        value.encode()
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        if not all(name.isascii() for name in value):
            raise ValueError
        return {name: _meant(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_meant(item, depth + 1) for item in value]
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError
        value = int(value)
    if isinstance(value, int) and abs(value) > 2**53 - 1:
        raise ValueError
    return value


@settings(max_examples=150, deadline=None)
@given(inner=JSON, around=st.lists(st.booleans(), max_size=26))
def test_the_normal_form_is_that_of_each_value_in_it(inner, around):
    """However deep it stands, and whatever stands around it; just what has no such form is refused."""
    value = inner
    for in_list in around:
        value = [value, "e\u0301"] if in_list else {"name": value}
    try:
        expected = _meant(value, 1)
    except ValueError:
        with pytest.raises(SchemaInvalid):
            normalised({"body": value})
        return

    found = normalised({"body": value})["body"]

    assert json.dumps(found) == json.dumps(expected)  # 1 and True are equal, their texts are not
