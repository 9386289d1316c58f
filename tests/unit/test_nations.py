# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Countries and languages by the maintained lists."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.catalogue.labels import LANGUAGES
from broker.core.errors import BadRequest
from broker.nations import (
    country_name,
    from_eu_form,
    is_country,
    is_language,
    is_nationality,
    language_name,
    to_eu_form,
)


@pytest.mark.parametrize("code", ["EE", "FI", "GR", "GB", "UA", "XK"])
def test_a_country_is_known_by_its_iso_code(code):
    """And by XK, which is user-assigned."""
    assert is_country(code)
    assert is_nationality(code)


@pytest.mark.parametrize("code", ["EL", "UK", "XX", "ZZ", "ee", "EST", "", "E", "XXA", "ÄÄ"])
def test_what_is_no_country_is_refused(code):
    """EL and UK are spellings of the EU forms, not codes; XXA is a nationality and no country."""
    assert not is_country(code)
    assert is_nationality(code) is (code == "XXA")


def test_the_eu_forms_write_greece_and_the_united_kingdom_differently():
    """EL and UK at the edge of the forms, GR and GB inside; every other code stays."""
    assert (from_eu_form("EL"), from_eu_form("UK"), from_eu_form("EE")) == ("GR", "GB", "EE")
    assert (to_eu_form("GR"), to_eu_form("GB"), to_eu_form("EE")) == ("EL", "UK", "EE")
    for code in ("EL", "UK", "XX"):
        with pytest.raises(BadRequest):
            to_eu_form(code)
    with pytest.raises(BadRequest):
        from_eu_form("XX")


@pytest.mark.parametrize("tag", ["et", "en", "ru", "sr-Latn", "uk", "zh-Hant-TW", "prs", "rom"])
def test_a_language_is_known_by_its_tag(tag):
    """ISO 639 codes with script and region, as BCP 47 has them."""
    assert is_language(tag)


@pytest.mark.parametrize("tag", ["xx", "qqz9", "", "english", "und", "zxx", "et_EE_x", "e"])
def test_what_is_no_language_is_refused(tag):
    """Neither an unregistered code nor one that stands for none or several."""
    assert not is_language(tag)


def test_names_are_in_the_readers_language():
    """In all seven, and in English where the reader's is not known."""
    names = {language: country_name("EE", language) for language in LANGUAGES}
    assert names == {
        "en": "Estonia", "da": "Estland", "et": "Eesti", "fi": "Viro", "lt": "Estija", "lv": "Igaunija", "sv": "Estland",
    }  # fmt: skip
    assert country_name("GR", "sv-FI") == "Grekland"
    assert country_name("XK", "et") == "Kosovo"
    assert country_name("EE", "no such language") == "Estonia"
    assert language_name("fi", "et") == "soome"
    assert language_name("sv-FI", "da") == "svensk"
    assert language_name("et", "../et") == "Estonian"


def test_what_does_not_exist_has_no_name():
    """No code is shown as if it were a name."""
    with pytest.raises(BadRequest):
        country_name("EL", "en")
    with pytest.raises(BadRequest):
        language_name("xx", "en")


@given(st.text(max_size=12))
def test_any_text_is_judged_without_a_library_error(text):
    """What a caller wrote never raises out of the libraries."""
    assert is_country(text) in {True, False}
    assert is_language(text) in {True, False}


def test_an_idle_node_imports_none_of_the_libraries():
    """Importing the module loads no list."""
    code = "import sys, broker.nations; print([m for m in ('pycountry', 'babel', 'langcodes') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
