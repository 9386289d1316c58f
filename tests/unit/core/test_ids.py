# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about parsed identifiers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core import ids
from broker.core.ids import (
    ArrangementId,
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    KeyId,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)

UUID7 = "01890000-0000-7000-8000-000000000001"
GOOD: list[tuple[type[str], str]] = [
    (CountryCode, "EE"),
    (CountryCode, "XK"),
    (AuthorityId, "social-insurance-board"),
    (AuthorityId, "a"),
    (ArrangementId, "example-1"),
    (MessageId, UUID7),
    (ProcedureId, UUID7),
    (CaseRef, "CR-0123456789ABCDEFGHJK"),
    (CaseRef, "EX-CR-0123456789ABCDEFGHJK"),
    (KeyId, "A" * 43),
    (Digest, "0" * 64),
    (MessageType, "family-tracing.request"),
    (SchemaVersion, "1.0"),
    (SchemaVersion, "0.9999"),
]
BAD: list[tuple[type[str], Any]] = [
    (CountryCode, "ee"),
    (CountryCode, "EL"),
    (CountryCode, "UK"),
    (CountryCode, "EST"),
    (CountryCode, "EE\n"),
    (CountryCode, "ÄÖ"),
    (AuthorityId, ""),
    (AuthorityId, "-a"),
    (ArrangementId, "Example 1"),
    (AuthorityId, "a-"),
    (AuthorityId, "a" * 64),
    (AuthorityId, "A"),
    (MessageId, UUID7.upper().replace("0189", "018A")),
    (MessageId, UUID7.replace("-7000", "-4000")),
    (MessageId, UUID7.replace("-8000", "-c000")),
    (MessageId, UUID7 + "\n"),
    (CaseRef, "CR-0123456789ABCDEFGHJ"),
    (CaseRef, "CR-0123456789ABCDEFGHJI"),
    (KeyId, "A" * 42 + "="),
    (Digest, "A" * 64),
    (Digest, "٠" * 64),
    (MessageType, "request"),
    (MessageType, "family_tracing.request"),
    (MessageType, "a.b.c"),
    (SchemaVersion, "1"),
    (SchemaVersion, "01.0"),
    (SchemaVersion, "1.٠"),
    (Digest, None),
    (Digest, 7),
    (Digest, b"0" * 64),
]


@pytest.mark.parametrize(("kind", "text"), GOOD)
def test_a_well_formed_identifier_is_its_text(kind: type[str], text: str) -> None:
    """An identifier is a text of its kind and equal to what it was made from."""
    made = kind(text)
    assert made == text
    assert type(made) is kind


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_a_malformed_identifier_is_refused_without_being_quoted(kind: type[str], text: Any) -> None:
    """The refusal names the kind and nothing of the text."""
    with pytest.raises(ValueError, match=f"^not a {kind.__name__}$"):
        kind(text)


def test_a_case_reference_tells_an_exercise() -> None:
    """The prefix alone marks an exercise."""
    assert CaseRef("EX-CR-0123456789ABCDEFGHJK").exercise
    assert not CaseRef("CR-0123456789ABCDEFGHJK").exercise


def test_a_message_type_has_procedure_and_act() -> None:
    """The dot divides the name."""
    kind = MessageType("family-tracing.partial-result")
    assert (kind.procedure, kind.act) == ("family-tracing", "partial-result")


def test_versions_are_ordered_by_number() -> None:
    """1.10 is newer than 1.9 although its text sorts before."""
    versions = [SchemaVersion(text) for text in ("1.10", "1.9", "2.0", "0.1")]
    assert sorted(versions, key=lambda version: version.key) == ["0.1", "1.9", "1.10", "2.0"]


def test_the_public_names_are_the_identifiers() -> None:
    """What the module exports is what it defines."""
    defined = {name for name, item in vars(ids).items() if isinstance(item, type) and item.__module__ == ids.__name__}
    assert set(ids.__all__) == {name for name in defined if not name.startswith("_")}


def test_ids_are_ordered_by_the_time_of_their_making() -> None:
    """The first id of a moment lies between the ids that were made before it and after it."""
    at = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    first = MessageId.first_of(at)
    assert first.made == at.timestamp()
    assert MessageId.first_of(at - timedelta(milliseconds=1)) < first < first[:-1] + "1"
    assert first < MessageId.first_of(at + timedelta(milliseconds=1))


def test_an_identifier_that_we_made_ourselves_is_of_its_kind() -> None:
    """It is the same as one that was read, and is taken for no other."""
    text = "0" * 64
    assert type(Digest.known(text)) is Digest
    assert Digest.known(text) == Digest(text)
