# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the eight country profiles that come with the program."""

from __future__ import annotations

from datetime import date

import pytest

from broker.core.profile_review import Level, review
from broker.core.profiles import CountryProfile, Standing
from broker.schema_files import list_profiles, read_schema_file
from broker.trust.profile_documents import read_profile, write_profile

EIGHT = ("DE", "DK", "EE", "FI", "LT", "LV", "NO", "SE")
READ = date(2026, 11, 22)


def _profile(country: str) -> CountryProfile:
    return read_profile(read_schema_file(list_profiles()[country]))


def test_there_are_eight() -> None:
    """The countries of CASEWORK 4.7, each in a file of its name."""
    assert tuple(list_profiles()) == EIGHT
    assert tuple(str(_profile(country).country) for country in EIGHT) == EIGHT


@pytest.mark.parametrize("country", EIGHT)
def test_each_is_written_in_the_one_spelling_and_contradicts_nothing(country: str) -> None:
    """The bytes are those that the program would write; a look at the day of writing finds no error."""
    raw = read_schema_file(list_profiles()[country])
    profile = read_profile(raw)
    assert write_profile(profile) == raw
    assert not [item for item in review(profile.newest, today=READ) if item.level is Level.ERROR]


@pytest.mark.parametrize("country", EIGHT)
def test_nothing_is_called_verified_but_what_was_read_in_a_legal_text_or_a_data_base(country: str) -> None:
    """National law came from secondary sources or from nobody: it is shown as unverified."""
    verified = {
        entry.source.document
        for entry in _profile(country).newest.entries.values()
        if entry.standing is Standing.VERIFIED and entry.source is not None
    }
    assert verified <= {
        "Regulation (EU) 2019/1111",
        "Hague Convention of 19 October 1996",
        "Directive 2011/36/EU, consolidated",
        "IANA time zone database",
    }


def test_unknown_deciders_stay_unknown() -> None:
    """For Lithuania and Norway nobody found who decides; no office is guessed, and consent is needed all the same."""
    for country in ("LT", "NO"):
        version = _profile(country).newest
        assert "placement.decider" in version.unknown()
        assert version.consent_needed("KINSHIP_CARE", basis="B2B_82")


def test_what_the_safeguards_ask_is_there() -> None:
    """Ages of consent, second decisions and numbered items of the countries for which they were found."""
    found = {country: _profile(country).newest for country in EIGHT}
    assert len(found["EE"].entry("placement.requires").value) == 13
    assert found["SE"].age("placement.child_consent_age") == 15
    assert found["SE"].says("placement.guardian_consent") is True
    assert found["FI"].age("child.referral_consent_age") == 15
    assert found["FI"].says("placement.consent_for_all") is True
    assert found["DE"].says("placement.second_decision") is True
    assert found["EE"].age("placement.child_consent_age") is None
    assert not any(found[country].codes("placement.relative_categories") for country in EIGHT)


def test_no_profile_names_a_number_to_call() -> None:
    """Contact points stand in the member document that each country signs itself."""
    for country in EIGHT:
        text = read_schema_file(list_profiles()[country]).decode("utf-8")
        assert "+" not in text
        assert "@" not in text
