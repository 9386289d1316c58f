# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Countries and languages by the maintained lists."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.catalogue.nations import is_country, is_language, is_nationality


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


@pytest.mark.parametrize("tag", ["et", "en", "ru", "sr-Latn", "uk", "zh-Hant-TW", "prs", "rom"])
def test_a_language_is_known_by_its_tag(tag):
    """ISO 639 codes with script and region, as BCP 47 has them."""
    assert is_language(tag)


@pytest.mark.parametrize("tag", ["xx", "qqz9", "", "english", "und", "zxx", "et_EE_x", "e"])
def test_what_is_no_language_is_refused(tag):
    """Neither an unregistered code nor one that stands for none or several."""
    assert not is_language(tag)


@given(st.text(max_size=12))
def test_any_text_is_judged_without_a_library_error(text):
    """What a caller wrote never raises out of the libraries."""
    assert is_country(text) in {True, False}
    assert is_language(text) in {True, False}


def test_an_idle_node_imports_none_of_the_libraries():
    """Importing the module loads no list."""
    code = "import sys, broker.catalogue.nations; print([m for m in ('pycountry', 'langcodes') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
