# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Countries and languages: which codes exist, what they are called, and how the forms of the European Union write them.

- ISO 3166-1 comes from `pycountry`, languages and their registries from `langcodes`, names from `babel`; each is
  imported when it is first needed. Schemas hold patterns only: whether a code exists is asked here.
- Inside, a country is always ISO 3166-1 alpha-2. EL (Greece) and UK (United Kingdom) are spellings of the EU forms and
  change at their edge, in `from_eu_form` and `to_eu_form`, and nowhere else.
"""

from __future__ import annotations

from types import MappingProxyType

from broker.core.errors import BadRequest

__all__ = [
    "STATELESS",
    "country_name",
    "from_eu_form",
    "is_country",
    "is_language",
    "is_nationality",
    "language_name",
    "to_eu_form",
]

STATELESS = "XXA"  # ICAO Doc 9303, part 3
_KOSOVO = "XK"  # user-assigned; no entry of ISO 3166-1
_EU_FORMS = MappingProxyType({"EL": "GR", "UK": "GB"})
_TO_EU_FORMS = MappingProxyType({iso: form for form, iso in _EU_FORMS.items()})
_NO_LANGUAGE = frozenset({"und", "zxx", "mul", "mis"})


def is_country(code: str) -> bool:
    """Whether there is a country of that code: ISO 3166-1 alpha-2 in capitals, or XK."""
    if code == _KOSOVO:
        return True
    import pycountry

    return len(code) == 2 and code.isascii() and code.isupper() and pycountry.countries.get(alpha_2=code) is not None


def is_nationality(code: str) -> bool:
    """Whether it is a country's code or that of a stateless person."""
    return code == STATELESS or is_country(code)


def is_language(tag: str) -> bool:
    """Whether a language tag is well formed and all its parts are registered (BCP 47)."""
    import langcodes

    return langcodes.tag_is_valid(tag) and (langcodes.Language.get(tag).language or "und") not in _NO_LANGUAGE


def from_eu_form(code: str) -> str:
    """Return the ISO code of a country as a form of the European Union writes it.

    Raises:
        BadRequest: there is no such country.
    """
    iso = _EU_FORMS.get(code, code)
    if not is_country(iso):
        raise BadRequest("There is no such country.", where="country")
    return iso


def to_eu_form(code: str) -> str:
    """Return how a form of the European Union writes a country.

    Raises:
        BadRequest: it is no ISO code of a country.
    """
    if not is_country(code):
        raise BadRequest("There is no such country.", where="country")
    return _TO_EU_FORMS.get(code, code)


def country_name(code: str, language: str) -> str:
    """Return the country's name in the reader's language, in English where that is not known.

    Raises:
        BadRequest: there is no such country.
    """
    if not is_country(code):
        raise BadRequest("There is no such country.", where="country")
    return _territory(code, language) or _territory(code, "en") or code


def language_name(tag: str, language: str) -> str:
    """Return the language's name in the reader's language, in English where that is not known.

    Raises:
        BadRequest: there is no such language.
    """
    import langcodes

    if not is_language(tag):
        raise BadRequest("There is no such language.", where="language")
    primary = str(langcodes.Language.get(tag).language)
    return _called(primary, language) or _called(primary, "en") or primary


def _territory(code: str, language: str) -> str | None:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language, sep="-").territories.get(code)
    except (UnknownLocaleError, ValueError, TypeError):
        return None


def _called(tag: str, language: str) -> str | None:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language, sep="-").languages.get(tag)
    except (UnknownLocaleError, ValueError, TypeError):
        return None
