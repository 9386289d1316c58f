# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message's content and header as canonical JSON and back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core import canonical, content
from broker.core.errors import HeaderInvalid, NotCanonical
from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)
from broker.core.messages import (
    ClearedMessage,
    Header,
    LegalBasis,
    OutboxKind,
    Party,
    ProcedureRef,
    Urgency,
    ValidMessage,
)

CREATED = datetime(2026, 11, 22, 3, 0, 0, 123_000, tzinfo=UTC)
BARE = Header(
    id=MessageId("019aa9c1-7c00-7abc-8def-0123456789ab"),
    type=MessageType("node.receipts"),
    version=SchemaVersion("1.0"),
    sender=Party(country=CountryCode("EE"), authority=AuthorityId("node")),
    recipient=Party(country=CountryCode("FI"), authority=AuthorityId("node")),
    created=CREATED,
    exercise=False,
    nonce="AAECAwQFBgcICQoLDA0ODw",
)
FULL = replace(
    BARE,
    type=MessageType("family-tracing.request"),
    language="et",
    urgency=Urgency.URGENT,
    purpose="FAMILY_TRACING",
    legal_basis=LegalBasis(code="NATIONAL_LAW", citation="Test Act § 1"),
    case_ref=CaseRef("CR-0123456789ABCDEFGHJK"),
    procedure=ProcedureRef(
        id=ProcedureId("019aa9c1-7c00-7abc-8def-0123456789ac"),
        name="family-tracing",
        version=SchemaVersion("1.0"),
        digest=Digest("0" * 64),
    ),
    parents=(Digest("1" * 64), Digest("2" * 64)),
)


def _json(header: Header = FULL) -> dict[str, Any]:
    return canonical.parse(canonical.dump(content.encode_header(header)))


@pytest.mark.parametrize("header", [BARE, FULL, replace(FULL, legal_basis=LegalBasis(code="X"))])
def test_a_header_comes_back_from_its_json(header: Header) -> None:
    """Writing and reading give the same header."""
    assert content.decode_header(_json(header)) == header


def test_what_does_not_apply_is_absent() -> None:
    """No member of a header is ever null."""
    assert sorted(_json(BARE)) == sorted(
        ["id", "type", "version", "sender", "recipient", "created", "exercise", "nonce", "parents"]
    )
    assert None not in _json(FULL).values()


def test_content_is_canonical_header_and_body() -> None:
    """The bytes parse to exactly these two members."""
    raw = content.encode(FULL, {"name": "Test-Maarika Näidis"})

    assert canonical.parse(raw) == {"header": _json(), "body": {"name": "Test-Maarika Näidis"}}


def test_a_body_without_a_canonical_form_is_refused() -> None:
    """A fraction has none."""
    with pytest.raises(NotCanonical):
        content.encode(FULL, {"amount": 1.5})


def test_composing_fixes_parents_time_and_digest() -> None:
    """Parents are sorted, everything else of the draft stays, and the digest is of the bytes."""
    draft = ValidMessage(header=replace(FULL, parents=()), body={"a": 1})
    later = CREATED + timedelta(hours=1)
    parents = (Digest("b" * 64), Digest("a" * 64))
    entry = content.compose(ClearedMessage(message=draft, reasons=()), parents=parents, created=later)

    assert entry.header == replace(draft.header, parents=tuple(sorted(parents)), created=later)
    assert entry.digest == canonical.digest(entry.content)
    assert (entry.kind, entry.recipient, entry.procedure) == (OutboxKind.MESSAGE, "FI", FULL.procedure.id)
    assert draft.header.parents == ()


def test_an_entry_without_procedure_has_none() -> None:
    """Receipts travel outside any procedure."""
    entry = content.entry_of(BARE, {"receipts": []}, OutboxKind.RECEIPTS)

    assert (entry.procedure, entry.kind, entry.header) == (None, OutboxKind.RECEIPTS, BARE)


@pytest.mark.parametrize("name", sorted(_json(BARE)))
def test_a_missing_member_is_named(name: str) -> None:
    """The pointer leads to what is missing."""
    data = _json()
    del data[name]

    with pytest.raises(HeaderInvalid) as caught:
        content.decode_header(data)
    assert caught.value.where == f"/header/{name}"


WRONG = {
    "id": ["019aa9c1-7c00-4abc-8def-0123456789ab", "", None, 5],
    "type": ["Family.request", "request", "a.b.c"],
    "version": ["1", "1.0.0", "01.0", 1],
    "created": [
        "2026-11-22T03:00:00Z",
        "2026-11-22T03:00:00.123456Z",
        "2026-11-22 03:00:00.123Z",
        "2026-02-30T03:00:00.000Z",
    ],
    "exercise": [0, "false", None],
    "nonce": ["", "AAAA", "AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODx", 5],
    "parents": [None, "x", ["x"], ["2" * 64, "1" * 64], ["1" * 64, "1" * 64], {}],
    "language": ["", None, 5],
    "urgency": ["SOON", "urgent", None],
    "purpose": ["", None],
    "case_ref": ["CR-1", "cr-0123456789ABCDEFGHJK", None],
    "sender": ["EE", None, {}, {"country": "EE"}, {"country": "UK", "authority": "node"}],
    "legal_basis": [None, {}, {"code": ""}, {"code": "X", "citation": ""}, {"code": "X", "more": 1}],
    "procedure": [None, {}, {"id": "x"}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_member_without_its_form_is_named_and_not_quoted(name: str, value: Any) -> None:
    """The pointer leads to it or into it, and no value reaches the error's text or cause."""
    with pytest.raises(HeaderInvalid) as caught:
        content.decode_header({**_json(), name: value})

    assert (caught.value.where or "").startswith(f"/header/{name}")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("place", ["", "sender", "procedure", "legal_basis"])
def test_an_unknown_member_is_refused_without_being_named(place: str) -> None:
    """A name could stand in the place of a member name."""
    data = _json()
    (data[place] if place else data)["Maarika"] = 1

    with pytest.raises(HeaderInvalid) as caught:
        content.decode_header(data)
    assert "Maarika" not in str(caught.value)
    assert (caught.value.where or "").startswith("/header")


@pytest.mark.parametrize("data", [None, [], "x", 5])
def test_a_header_that_is_no_object_is_refused(data: Any) -> None:
    """Only an object has members."""
    with pytest.raises(HeaderInvalid):
        content.decode_header(data)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(_json())), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
    )
)
def test_any_header_is_decoded_or_refused(changes: dict[str, Any]) -> None:
    """Nothing but our error comes of a header of any kind."""
    data = {**_json(), **changes}
    try:
        header = content.decode_header(data)
    except HeaderInvalid:
        return
    assert content.encode_header(header) == data


@settings(max_examples=100, deadline=None)
@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))
def test_a_time_comes_back_to_the_millisecond(moment: datetime) -> None:
    """One spelling, whatever the zone it was given in."""
    text = content.time_to_text(moment)
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    assert content.time_from_text(text) == cut
    if moment.year < 9999:
        assert content.time_to_text(moment.astimezone(timezone(timedelta(hours=2)))) == text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789-T:.Z+ ٣", max_size=26))
def test_any_other_spelling_of_a_time_is_refused(text: str) -> None:
    """What is taken is exactly what we would write."""
    try:
        moment = content.time_from_text(text)
    except ValueError:
        return
    assert content.time_to_text(moment) == text


class _Newer(datetime):
    """The time of Python 3.14, which knows an hour 24."""

    @classmethod
    def fromisoformat(cls, text: str, /) -> datetime:
        return datetime.fromisoformat(text.replace("T24:", "T00:")) + timedelta(days="T24:" in text)


@pytest.mark.parametrize("python", [datetime, _Newer])
def test_there_is_no_hour_24(monkeypatch: pytest.MonkeyPatch, python: type[datetime]) -> None:
    """Whatever Python makes of it: else one node would park what another refuses."""
    monkeypatch.setattr(content, "datetime", python)
    with pytest.raises(ValueError, match="canonical"):
        content.time_from_text("2026-11-22T24:00:00.000Z")
