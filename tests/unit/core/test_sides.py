# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a country, and how a person is told what is not."""

from __future__ import annotations

from broker.core.ids import AuthorityId, CountryCode
from broker.core.sides import Side
from broker.core.trust import Authority

FI = CountryCode("FI")


def test_a_country_without_profile_answers_nothing() -> None:
    """Neither yes nor no nor an age; every question may arise there."""
    side = Side(country=FI, office=AuthorityId("county"))
    assert side.says("placement.second_decision") is None
    assert side.age("placement.child_consent_age") is None
    assert side.applies("placement.child_consent_age")
    assert side.listed is None


def test_an_open_question_names_country_question_and_entry() -> None:
    """A person can send it on as it stands."""
    sentence = Side(country=FI, office=AuthorityId("county")).open_question("placement.second_decision")
    assert sentence == (
        "Nobody has said for FI: Does consent count only with a second decision? (placement.second_decision)"
    )


def test_competences_are_read_in_both_spellings() -> None:
    """B2B-82 and B2B_82 are one basis; another use or basis is none."""
    offices = tuple(
        Authority(id=AuthorityId(name), name=name, competences=(competence,))
        for name, competence in (("a", "B2B-82:RECEIVE"), ("b", "B2B_82:RECEIVE"), ("c", "B2B_82:SEND"), ("d", "H96_33:RECEIVE"))
    )  # fmt: skip
    side = Side(country=FI, office=AuthorityId("a"), offices=offices)
    assert [office.name for office in side.competent("B2B_82", "RECEIVE")] == ["a", "b"]
    assert side.listed is offices[0]
