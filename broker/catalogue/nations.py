# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Countries and languages: which codes exist. Schemas hold patterns only: whether a code exists is asked here.

- ISO 3166-1 comes from `pycountry`, languages and their registries from `langcodes`; each is imported when it is first needed.
- A country is always ISO 3166-1 alpha-2: EL (Greece) and UK (United Kingdom) are spellings of the EU forms and no codes here.
"""

from __future__ import annotations

__all__ = ["STATELESS", "is_country", "is_language", "is_nationality"]

STATELESS = "XXA"  # ICAO Doc 9303, part 3
_KOSOVO = "XK"  # user-assigned; no entry of ISO 3166-1
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
