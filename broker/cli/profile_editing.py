# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm profile set`: one answer of a profile's file, with its source and day, in a version of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from broker.cli import output
from broker.cli.forms import read_written
from broker.cli.input import read_day
from broker.core.errors import BadRequest
from broker.core.profile_questions import QUESTIONS, Kind
from broker.core.profiles import CountryProfile, Entry, ProfileVersion
from broker.durable import write_durably
from broker.system import SystemClock
from broker.trust.document_schemas import PROFILE_SCHEMA
from broker.trust.profile_documents import MAX_BYTES, entry_data, parse_entry, read_profile, write_profile

__all__ = ["Answer", "set_value"]

_LISTS = frozenset({Kind.CODES, Kind.COUNTRIES, Kind.LANGUAGES})
_WORDS = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person states about one question; exactly one of value, unknown and not_applicable."""

    value: str | None
    unknown: bool
    not_applicable: bool
    document: str | None  # the source
    place: str | None
    read: str | None
    standing: str
    note: str | None


def set_value(
    file: Path, question: str, answer: Answer, *, begins: str | None, editor: str | None, because: str, as_json: bool
) -> None:
    """Write one answer into a profile's file.

    The version that begins last is taken over with that one difference: as a new version, or in its place where it
    begins on that very day. A rule of an earlier day stays as it was.

    Raises:
        BadRequest: there is no such question, or the answer is not stated whole.
        TrustListInvalid: the file is no profile, or the answer does not have its form; nothing was written.
    """
    if question not in QUESTIONS:
        raise BadRequest(
            "There is no such question; 'trm profile show COUNTRY --all --json' lists them.", where="QUESTION"
        )
    profile = read_written(file, read_profile, PROFILE_SCHEMA, most=MAX_BYTES)
    today = SystemClock().now().date()
    begin = today if begins is None else read_day(begins, "--from")
    entry = parse_entry(question, _stated(question, answer, today))
    version = _version(profile.newest, question, entry, begin=begin, today=today, editor=editor, because=because)
    changed = _with(profile, version)
    read_profile(raw := write_profile(changed))
    write_durably(file, raw, mode=0o644)
    document = {
        "file": str(file),
        "question": question,
        "valid_from": begin.isoformat(),
        "before": entry_data(profile.newest.entry(question)),
        "after": entry_data(entry),
    }

    def people() -> None:
        say = output.console().print
        say(output.plain(f"{question} is answered from {begin} on; everything else stays."))
        say("Next: 'trm profile check' and 'trm profile diff' on the file, then 'trm trust update-member … --profile'.")

    output.answer(document, as_json=as_json, people=people)


def _version(
    newest: ProfileVersion, question: str, entry: Entry, *, begin: date, today: date, editor: str | None, because: str
) -> ProfileVersion:
    entries = {**newest.entries, question: entry}
    return replace(
        newest, valid_from=begin, edited=today, editor=editor or newest.editor, because=because, entries=entries
    )


def _with(profile: CountryProfile, version: ProfileVersion) -> CountryProfile:
    begun = profile.newest.valid_from
    if version.valid_from < begun:
        raise BadRequest(f"The newest version begins on {begun}: a change begins then or later.", where="--from")
    kept = profile.versions if version.valid_from > begun else profile.versions[:-1]
    return replace(profile, versions=(*kept, version))


def _stated(question: str, answer: Answer, today: date) -> Mapping[str, Any]:
    if (answer.value is not None) + answer.unknown + answer.not_applicable != 1:
        raise BadRequest("State a value, --unknown or --not-applicable: one of the three.", where="VALUE")
    note = {} if answer.note is None else {"note": answer.note}
    if answer.unknown:
        if answer.note is None:
            raise BadRequest("What is unknown says in --note what was looked for.", where="--note")
        return {"unknown": True, **note}
    if answer.document is None:
        raise BadRequest("An answer has a source: name it.", where="--document")
    source = {"document": answer.document, "place": answer.place, "read": answer.read or today.isoformat()}
    known = {
        "standing": answer.standing,
        "source": {name: item for name, item in source.items() if item is not None},
        **note,
    }
    if answer.not_applicable:
        return {**known, "not_applicable": True}
    return {**known, "value": _value(QUESTIONS[question].kind, answer.value or "")}


def _value(kind: Kind, text: str) -> Any:
    """Return the JSON value of what a person typed; the reader judges it."""
    if kind is Kind.YES_NO:
        return _WORDS.get(text.strip().lower(), text)
    if kind is Kind.AGE:
        return int(text) if text.isdecimal() else text
    if kind in _LISTS:
        return [item.strip() for item in text.split(",") if item.strip()]
    if kind in {Kind.OFFICES, Kind.ITEMS}:
        try:
            return json.loads(text)
        except ValueError:
            raise BadRequest("Offices and numbered items are given as JSON.", where="VALUE") from None
    return text
