# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""``members/<CC>/profile.json``: what is known about a country's rules, with source and standing of every answer.

An answer that is left out is unknown; one that is written as unknown says in its note what was looked for. Each answer has
one spelling: nothing is null, codes stand in the order of their list, countries in that of the alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

from broker.core.errors import TrustListInvalid
from broker.core.ids import AuthorityId, CountryCode
from broker.core.profile_questions import QUESTIONS, SECTIONS, Kind, Question
from broker.core.profiles import CountryProfile, Entry, Item, Office, ProfileVersion, Source, Standing, Value
from broker.trust.lines import day, line, text
from broker.trust.strict import Fields, each, exactly, placed, read_json, write_json

__all__ = ["FORMAT", "MAX_BYTES", "entry_data", "parse_entry", "parse_profile", "read_profile", "write_profile"]

FORMAT = "trm-profile/1"
MAX_BYTES = 1024 * 1024  # of the document
_MAX_AGE = 21  # years; no law of children's consent goes further
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)


def read_profile(raw: bytes, *, where: str = "profile.json") -> CountryProfile:
    """Return the value of the document's bytes.

    Raises:
        TrustListInvalid: it is too large or does not have its one form; ``where`` names file and place.
    """
    if len(raw) > MAX_BYTES:
        raise TrustListInvalid("The document is too large to be a profile.", where=where)
    return placed(f"{where}: ", parse_profile, read_json(raw, where=where))


def write_profile(profile: CountryProfile) -> bytes:
    """Return the document's bytes; `read_profile` gives the same value back."""
    return write_json(
        {
            "format": FORMAT,
            "country": str(profile.country),
            "versions": [_version_data(version) for version in profile.versions],
        }
    )


def parse_profile(data: Any) -> CountryProfile:
    """Return the value of the document's JSON value.

    Raises:
        TrustListInvalid: something is missing, unknown or not of its form; ``where`` points at it.
        ValueError: the versions do not follow one another.
    """
    fields = Fields(data)
    fields.take("format", exactly(FORMAT))
    country = fields.take("country", CountryCode)
    versions = fields.take("versions", lambda value: each(value, _version))
    fields.finish()
    try:
        return CountryProfile(country=country, versions=versions)
    except ValueError:
        raise TrustListInvalid(
            "Versions begin on ascending days, and there is at least one.", where="/versions"
        ) from None


def parse_entry(name: str, data: Any) -> Entry:
    """Return the answer to the question of that name, of its JSON value.

    Raises:
        TrustListInvalid: it does not have the form of that question's answer; ``where`` points at it.
    """
    return placed(f"/{name}", lambda value: _entry(QUESTIONS[name], value), data)


# --- reading ---------------------------------------------------------------------------------------------------------


def _version(data: Any) -> ProfileVersion:
    fields = Fields(data)
    version = ProfileVersion(
        valid_from=fields.take("valid_from", day),
        edited=fields.take("edited", day),
        editor=fields.take("editor", line),
        because=fields.take("because", text),
        entries=fields.take("answers", _answers),
    )
    fields.finish()
    return version


def _answers(data: Any) -> dict[str, Entry]:
    fields = Fields(data)
    found: dict[str, Entry] = {}
    none: dict[str, Entry] = {}
    for section in SECTIONS:
        found |= fields.take_or(section, partial(_section, section), none)
    fields.finish()
    return found


def _section(section: str, data: Any) -> dict[str, Entry]:
    fields = Fields(data)
    asked = [question for question in QUESTIONS.values() if question.section == section]
    given = {question.name: fields.take_or(question.entry, partial(_entry, question), None) for question in asked}
    fields.finish()
    return {name: entry for name, entry in given.items() if entry is not None}


def _entry(question: Question, data: Any) -> Entry:
    fields = Fields(data)
    if fields.take_or("unknown", _true, False):
        entry = Entry(note=fields.take("note", text))
    else:
        applicable = not fields.take_or("not_applicable", _true, False)
        entry = Entry(
            standing=fields.take("standing", _standing),
            value=fields.take("value", lambda value: _VALUES[question.kind](question, value)) if applicable else None,
            applicable=applicable,
            source=fields.take("source", _source),
            note=fields.take_or("note", text, None),
        )
    fields.finish()
    return entry


def _standing(value: Any) -> Standing:
    standing = Standing(value)
    if standing is Standing.UNKNOWN:
        raise TrustListInvalid("What is unknown is written as unknown, without a value.")
    return standing


def _source(data: Any) -> Source:
    fields = Fields(data)
    source = Source(
        document=fields.take("document", line),
        place=fields.take_or("place", line, None),
        read=fields.take_or("read", _read, None),
    )
    fields.finish()
    return source


def _read(value: Any) -> str:
    return Source(document="-", read=str(value)).read or ""


def _codes(question: Question, value: Any) -> tuple[str, ...]:
    given = each(value, lambda item: _code(question, item))
    if list(given) != [code for code in question.codes if code in given]:
        raise TrustListInvalid("Codes stand in the order of their list, each once.")
    return given


def _code(question: Question, value: Any) -> str:
    if value not in question.codes:
        raise TrustListInvalid("Not a code of this question.")
    return str(value)


def _countries(_: Question, value: Any) -> tuple[str, ...]:
    given = each(value, CountryCode)
    if list(given) != sorted(set(given)):
        raise TrustListInvalid("Countries stand in the order of the alphabet, each once.")
    return given


def _languages(_: Question, value: Any) -> tuple[str, ...]:
    given = each(value, _language)
    if not given or len(set(given)) != len(given):
        raise TrustListInvalid("At least one language, each once.")
    return given


def _offices(_: Question, value: Any) -> tuple[Office, ...]:
    given = each(value, _office)
    if not given:
        raise TrustListInvalid("At least one office.")
    return given


def _office(data: Any) -> Office:
    fields = Fields(data)
    office = Office(
        name=fields.take("name", line),
        found_by=fields.take_or("found_by", line, None),
        authority=fields.take_or("authority", AuthorityId, None),
    )
    fields.finish()
    return office


def _items(_: Question, value: Any) -> tuple[Item, ...]:
    given = each(value, _item)
    if not given or [item.number for item in given] != list(range(1, len(given) + 1)):
        raise TrustListInvalid("Items are numbered from 1, in order.")
    return given


def _item(data: Any) -> Item:
    fields = Fields(data)
    item = Item(
        number=fields.take("number", lambda value: _whole(value, 1, 256)),
        text=fields.take("text", text),
        form=fields.take_or("form", line, None),
        translated=fields.take_or("translated", _boolean, None),
    )
    fields.finish()
    return item


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _true(value: Any) -> bool:
    if value is not True:
        raise ValueError("only true is written")
    return True


def _whole(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError("not a number in its bounds")
    return value


def _language(value: Any) -> str:
    if not isinstance(value, str) or _LANGUAGE.fullmatch(value) is None:
        raise ValueError("not a language")
    return value


_VALUES: Mapping[Kind, Callable[[Question, Any], Value]] = {
    Kind.TEXT: lambda _, value: text(value),
    Kind.YES_NO: lambda _, value: _boolean(value),
    Kind.AGE: lambda _, value: _whole(value, 0, _MAX_AGE),
    Kind.DAY: lambda _, value: day(value),
    Kind.CODE: _code,
    Kind.CODES: _codes,
    Kind.COUNTRIES: _countries,
    Kind.LANGUAGES: _languages,
    Kind.OFFICES: _offices,
    Kind.ITEMS: _items,
}


# --- writing ---------------------------------------------------------------------------------------------------------


def _version_data(version: ProfileVersion) -> dict[str, Any]:
    answers: dict[str, dict[str, Any]] = {}
    for name, entry in version.entries.items():
        section, short = name.split(".", 1)
        answers.setdefault(section, {})[short] = entry_data(entry)
    return {
        "valid_from": version.valid_from.isoformat(),
        "edited": version.edited.isoformat(),
        "editor": version.editor,
        "because": version.because,
        "answers": answers,
    }


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return an answer's JSON value, as it stands in the document."""
    data: dict[str, Any] = {} if entry.note is None else {"note": entry.note}
    if not entry.known or entry.source is None:
        return data | {"unknown": True}
    source = {"document": entry.source.document, "place": entry.source.place, "read": entry.source.read}
    data |= {"standing": entry.standing.value, "source": _said(source)}
    return data | ({"value": _plain(entry.value)} if entry.applicable else {"not_applicable": True})


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Office):
        return _said({"name": value.name, "found_by": value.found_by, "authority": value.authority})
    if isinstance(value, Item):
        return _said({"number": value.number, "text": value.text, "form": value.form, "translated": value.translated})
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _said(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
