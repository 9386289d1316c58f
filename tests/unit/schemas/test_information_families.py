# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the families of information about a child refuse, where the meaning is at stake."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from broker.catalogue import Catalogue
from broker.catalogue.bundle import read_bundle, self_contained
from broker.core.ids import MessageType, SchemaVersion

SCHEMAS = Path(__file__).parents[3] / "schemas"
V1 = SchemaVersion("1.0")
Examples = Mapping[str, dict[str, Any]]
Change = Callable[[dict[str, Any]], Any]

CASES: dict[str, tuple[str, Change, str]] = {
    "what is said of health is sealed": (
        "best-interests/information-five-elements.json",
        lambda body: body["elements"][3].update(statements=body["elements"][0]["statements"]),
        "/body/elements/3/statements",
    ),
    "an element without statements names what is missing": (
        "best-interests/information-five-elements.json",
        lambda body: body["elements"][3].pop("gap"),
        "/body/elements/3",
    ),
    "an assessment says how sure it is": (
        "best-interests/information-five-elements.json",
        lambda body: body["elements"][1]["statements"][0].pop("confidence"),
        "/body/elements/1/statements/0/confidence",
    ),
    "one option alone is not weighed": (
        "best-interests/opinion-stay-with-contact.json",
        lambda body: body.update(options=body["options"][:1]),
        "/body/options",
    ),
    "views that were heard were given weight in some way": (
        "best-interests/opinion-stay-with-contact.json",
        lambda body: body["views"]["heard"].pop("weight"),
        "/body/views/heard/weight",
    ),
    "an opinion says that conflict of interest was looked for": (
        "best-interests/opinion-stay-with-contact.json",
        lambda body: body["assessor"].pop("conflict_checked_on"),
        "/body/assessor/conflict_checked_on",
    ),
    "a conference is invited to or recorded, not both": (
        "best-interests/conference-invitation.json",
        lambda body: body["step"].update(record={}),
        "/body/step",
    ),
    "no proceedings is not the same as not asked": (
        "child-information/reply-report-from-records.json",
        lambda body: body.update(proceedings={"value": [], "not_applicable": True}),
        "/body/proceedings",
    ),
    "a finding on a person says how it was enquired": (
        "child-information/reply-mother-wishes-letters.json",
        lambda body: body["persons"]["value"][0].pop("manner_used"),
        "/body/persons/value/0/manner_used",
    ),
    "a person asked about has a claim to protection of its own": (
        "child-information/request-mother-in-estonia.json",
        lambda body: body["persons_sought"][0].pop("protection_claim"),
        "/body/persons_sought/0/protection_claim",
    ),
    "what is rectified is said field by field": (
        "correction/rectify-birth-year.json",
        lambda body: body.update(fields=[]),
        "/body/fields",
    ),
    "a correction names its messages by digest": (
        "correction/erase-wrong-child.json",
        lambda body: body.update(targets=["Test-Milja"]),
        "/body/targets/0",
    ),
    "what is kept in spite of a correction is kept on a ground": (
        "correction/report-kept-for-a-claim.json",
        lambda body: body["outcomes"][0].pop("reason"),
        "/body/outcomes/0/reason",
    ),
    "whoever must be told is named, even if it is nobody": (
        "correction/restrict-until-appeal.json",
        lambda body: body.pop("to_be_told"),
        "/body/to_be_told",
    ),
    "one of the two sides answers a claimant": (
        "correction/access-forward-guardian.json",
        lambda body: body.update(answers_claimant="OBSERVING"),
        "/body/answers_claimant",
    ),
    "a question without names has no place for a name": (
        "consultation/question-nail-studio.json",
        lambda body: body["situation"].update(name="Test-Milja"),
        "/body/situation",
    ),
    "a question without names has no place for a birth date": (
        "consultation/question-nail-studio.json",
        lambda body: body["questions"][0].update(text="She was born on 14.3.2010."),
        "/body/questions/0/text",
    ),
    "an answer without names has no place for a personal code": (
        "consultation/answer-refer-her.json",
        lambda body: body["answers"][0].update(text={"value": "Her code is 010310-999A."}),
        "/body/answers/0/text/value",
    ),
    "the right office is named where it is to be asked": (
        "consultation/answer-ask-other-office.json",
        lambda body: body.update(right_office={"unknown": True}),
        "/body/right_office/value",
    ),
    "what is not recognised has another way of protection": (
        "recognition/answer-one-form-not-recognised.json",
        lambda body: body.update(alternative={"not_applicable": True}),
        "/body/alternative/value",
    ),
    "a relationship is not confirmed on what persons say alone": (
        "relationship/reply-confirmed-without-authority.json",
        lambda body: body.update(sources=["PERSON_CONCERNED"]),
        "/body/sources",
    ),
    "a relationship is not contradicted without a source": (
        "relationship/reply-contradicted.json",
        lambda body: body.update(sources=[]),
        "/body/sources",
    ),
    "a relationship says nothing of authority": (
        "relationship/reply-confirmed-without-authority.json",
        lambda body: body.pop("authority"),
        "/body/authority",
    ),
    "a claim that is handed on names no child": (
        "correction/access-forward-guardian.json",
        lambda body: body.update(child={"name": "Test-Milja"}),
        "/body",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_meaning_is_refused_at_its_place(spoilt: Callable[..., list[str]], case: str) -> None:
    """The example is valid; the same with one thing missing or contradicted is not, and the place is named."""
    path, change, pointer = CASES[case]

    assert pointer in spoilt(path, change)


def test_the_asylum_channel_carries_the_request_itself(catalogue: Catalogue, examples: Examples) -> None:
    """On the basis AMMR 48 a request is a notice of what went by DubliNet, and says what went."""
    data = copy.deepcopy(examples["best-interests/request-records-only.json"])
    data["legal_basis"] = {"code": "AMMR_48"}
    assert [problem.pointer for problem in catalogue.explain_submission(data)] == ["/legal_basis/code"]

    data["body"]["official_channel"] = {"channel": "DUBLINET", "reference": "FI09-example", "sent_on": "2026-09-20"}
    assert catalogue.explain_submission(data) == ()


def test_a_question_about_a_relative_names_the_relative(catalogue: Catalogue, examples: Examples) -> None:
    """CASEWORK C-02: on article 80(1)(b) the persons stand in the request, each with safeguards of its own."""
    data = copy.deepcopy(examples["child-information/request-mother-in-estonia.json"])
    assert catalogue.explain_submission(data) == ()
    del data["body"]["persons_sought"]
    assert [problem.pointer for problem in catalogue.explain_submission(data)] == ["/legal_basis/code"]


def test_a_question_without_names_reaches_no_person(catalogue: Catalogue) -> None:
    """The table has no subject: no message of the family, the shared ones too, has a member about a person."""
    table = catalogue.table("consultation")
    assert not table.has_subject
    for act in table.acts:
        schema = catalogue.schema(MessageType(f"consultation.{act}"), V1)
        assert [name for name, part in schema.get("$defs", {}).items() if part.get("x-trm-person")] == [], act


SELF = {
    "answers": [{"area": "PEERS", "level": "SOMETIMES_HARD", "words": "I miss my friend."}],
    "on": "2026-09-01",
    "language": "lt",
    "helped_by": {"not_applicable": True},
    "child_sends_it": {
        "on": "2026-09-02",
        "recorded_by": {"name": "Esimerkki", "kind": "LOCAL_AUTHORITY", "country": "FI"},
    },
}


def test_a_childs_own_assessment_leaves_only_when_the_child_wants_it() -> None:
    """Inside of the sealed part stands the child's decision to send it; areas and levels are codes, words are free."""
    files = {path.relative_to(SCHEMAS).as_posix(): path.read_bytes() for path in SCHEMAS.rglob("*.json")}
    schema = self_contained(read_bundle(files), "parts/self-assessment.json")
    accepts = jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid

    assert accepts(SELF)
    assert schema["x-trm-special"]
    assert not accepts({name: item for name, item in SELF.items() if name != "child_sends_it"})
    assert not accepts({**SELF, "answers": [{"area": "PEERS", "level": "7"}]})
    assert not accepts({**SELF, "score": 7})
