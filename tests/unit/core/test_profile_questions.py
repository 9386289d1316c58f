# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the list of questions that a country profile answers."""

from __future__ import annotations

import re

from broker.core.profile_questions import FORMS_OF_EXPLOITATION, NEEDS, QUESTIONS, Kind


def test_a_question_has_codes_exactly_where_its_answer_is_one() -> None:
    """A closed answer lists what it may be, each once; an open one lists nothing."""
    for question in QUESTIONS.values():
        assert bool(question.codes) is (question.kind in (Kind.CODE, Kind.CODES)), question.name
        assert len(set(question.codes)) == len(question.codes), question.name


def test_a_name_is_section_and_entry() -> None:
    """Names are members of JSON objects; codes in them keep their spelling."""
    assert all(re.fullmatch(r"[a-z]+\.(?:[a-z0-9_]+|[A-Z_]+)", name, re.ASCII) for name in QUESTIONS)


def test_each_form_of_exploitation_and_each_need_is_asked_about() -> None:
    """What no question asks about could not be shown as unknown."""
    assert {f"forms.{form}" for form in FORMS_OF_EXPLOITATION} <= QUESTIONS.keys()
    assert {f"assistance.{need}" for need in NEEDS} <= QUESTIONS.keys()
