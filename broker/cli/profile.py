# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm profile`: what is known about a country's rules, what changed, and what a person should look at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.cli import output
from broker.cli.forms import read_written
from broker.cli.input import parsed, read_day
from broker.core.errors import BadRequest, NotFound
from broker.core.ids import CountryCode
from broker.core.profile_questions import QUESTIONS, SECTIONS
from broker.core.profile_review import Change, Finding, Level, compare, review
from broker.core.profiles import CountryProfile, Entry, Item, Office, ProfileVersion, Standing, ordered
from broker.schema_files import list_profiles, read_schema_file
from broker.system import SystemClock
from broker.trust.document_schemas import PROFILE_SCHEMA
from broker.trust.profile_documents import MAX_BYTES, entry_data, read_profile

__all__ = ["check", "diff", "show"]

_COUNTRY_LENGTH = 2
_CODE = re.compile(r"[A-Z][A-Z0-9]{2,}(?:_[A-Z0-9]+)*", re.ASCII)  # and not a country's


def show(
    country: str, *, file: Path | None, home: Path | None, on: str | None, everything: bool, as_json: bool
) -> None:
    """Show the rules that hold in a country on a day.

    Raises:
        BadRequest: the file or day cannot be read.
        NotFound: no profile of that country, or none that held on that day.
        TrustListInvalid: it is not a profile.
    """
    wanted = parsed(CountryCode, country, "COUNTRY")
    profile = _stated(wanted, file, home)
    if profile.country != wanted:
        raise BadRequest(f"The file is the profile of {profile.country}.", where=str(file))
    version = _version(profile, on)
    names = [name for name in ordered() if everything or version.entry(name).known or version.entry(name).note]
    document = {
        "country": profile.country,
        **_head(version),
        "answers": {name: entry_data(version.entry(name)) for name in names},
        "unknown": list(version.unknown()),
    }
    output.answer(document, as_json=as_json, people=lambda: _tell(profile, version, names))


def diff(before: str, after: str, *, as_json: bool) -> None:
    """Say in words what another version of a profile answers differently.

    Raises:
        BadRequest: a file or day cannot be read, or the two are of different countries.
        NotFound: no profile of that country, or none that held on that day.
        TrustListInvalid: one is not a profile.
    """
    (one, old), (other, new) = _named(before), _named(after)
    if one.country != other.country:
        raise BadRequest("The two are profiles of different countries.", where="AFTER")
    changes = compare(old, new)
    document = {
        "country": one.country,
        "before": _head(old),
        "after": _head(new),
        "changes": [
            {
                "question": change.question,
                "before": entry_data(change.before),
                "after": entry_data(change.after),
                "sentence": _said(change),
            }
            for change in changes
        ],
    }

    def people() -> None:
        for change in changes:
            output.console().print(output.plain(f"{change.question}: {_said(change)}"))
        output.console().print(f"{len(changes)} answers differ: {_when(old)} → {_when(new)}.")

    output.answer(document, as_json=as_json, people=people)


def check(what: Sequence[str], *, as_json: bool) -> int:
    """List what to look at in each profile, and return the exit code.

    Raises:
        BadRequest: a file cannot be read.
        NotFound: no profile of that country.
        TrustListInvalid: one is not a profile.
    """
    today = SystemClock().now().date()
    checked = [(name, *_named(name)) for name in what or list_profiles()]
    found = {name: (*_calendar(version), *review(version, today=today)) for name, _, version in checked}
    errors = sum(finding.level is Level.ERROR for findings in found.values() for finding in findings)
    document = {
        "errors": errors,
        "profiles": [
            {
                "profile": name,
                "country": profile.country,
                **_head(version),
                "asked": len(QUESTIONS),
                **{level.value: sum(finding.level is level for finding in found[name]) for level in Level},
                "findings": [_finding_data(finding) for finding in found[name]],
            }
            for name, profile, version in checked
        ],
    }
    output.answer(document, as_json=as_json, people=lambda: _tell_findings(found, errors))
    return output.EXIT_REFUSED if errors else output.EXIT_OK


# --- which profile ---------------------------------------------------------------------------------------------------


def _named(text: str) -> tuple[CountryProfile, ProfileVersion]:
    """Return the profile and version of ``EE``, ``EE@2026-06-30``, ``file.json`` or ``file.json@2026-06-30``."""
    name, _, day = text.partition("@")
    is_country = len(name) == _COUNTRY_LENGTH
    profile = _shipped(parsed(CountryCode, name, name)) if is_country else _from_file(Path(name))
    return profile, _version(profile, day) if day else profile.newest


def _version(profile: CountryProfile, on: str | None) -> ProfileVersion:
    day = SystemClock().now().date() if on is None else read_day(on, "--on")
    version = profile.on(day)
    if version is None:
        raise NotFound(f"The profile of {profile.country} begins after {day}.", where="--on")
    return version


def _shipped(country: CountryCode) -> CountryProfile:
    path = list_profiles().get(country)
    if path is None:
        raise NotFound("No profile of that country comes with this program; name a file.", where=country)
    return read_profile(read_schema_file(path), where=path)


def _stated(country: CountryCode, file: Path | None, home: Path | None) -> CountryProfile:
    if file is not None and home is not None:
        raise BadRequest("A file or a home, not both.", where="--home")
    if home is not None:
        return _signed(country, home)
    return _shipped(country) if file is None else _from_file(file)


def _signed(country: CountryCode, home: Path) -> CountryProfile:
    from broker.settings import Settings
    from broker.trust.opening import trust_in_force

    profile = trust_in_force(Settings.load(home)).profiles.get(country)
    if profile is None:
        raise NotFound("That country's officers have signed no profile.", where="COUNTRY")
    return profile


def _from_file(file: Path) -> CountryProfile:
    return read_written(file, read_profile, PROFILE_SCHEMA, most=MAX_BYTES)


# --- in words --------------------------------------------------------------------------------------------------------

_STANDINGS = {
    Standing.VERIFIED: "verified",
    Standing.SECONDARY: "unverified: from a secondary source",
    Standing.UNVERIFIED: "unverified: nobody has checked it",
    Standing.DEFAULT: "the product's choice",
    Standing.UNKNOWN: "unknown",
}


def _head(version: ProfileVersion) -> dict[str, Any]:
    return {
        "valid_from": version.valid_from.isoformat(),
        "edited": version.edited.isoformat(),
        "editor": version.editor,
        "because": version.because,
    }


def _when(version: ProfileVersion) -> str:
    return f"valid from {version.valid_from}, edited {version.edited} by {version.editor}"


def _tell(profile: CountryProfile, version: ProfileVersion, names: Sequence[str]) -> None:
    said = output.console().print
    said(output.plain(f"{profile.country}: {_when(version)}.\n{version.because}"))
    for section, title in SECTIONS.items():
        inside = [name for name in names if QUESTIONS[name].section == section]
        if inside:
            said(f"\n{title}")
            rows = (_row(name, version.entry(name)) for name in inside)
            output.table(
                ("question", "answer", "relied on", "source"), rows, wide=("question", "answer", "relied on", "source")
            )
    said(
        f"\n{len(version.unknown())} of {len(QUESTIONS)} questions are unknown; unknown is not no. 'trm profile check' lists them."
    )


def _row(name: str, entry: Entry) -> tuple[str, str, str, str]:
    return QUESTIONS[name].text, _answer(entry), _STANDINGS[entry.standing], _source(entry)


def _answer(entry: Entry) -> str:
    answer = "unknown" if not entry.known else _value(entry.value) if entry.applicable else "does not arise"
    return answer if entry.note is None else f"{answer}\n({entry.note})"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Office):
        return value.name if value.found_by is None else f"{value.name} – found by: {value.found_by}"
    if isinstance(value, Item):
        more = [value.form, {True: "translated", False: "not translated", None: None}[value.translated]]
        return f"{value.number}. {value.text}" + "".join(f", {said}" for said in more if said)
    if isinstance(value, tuple):
        return "\n".join(map(_value, value)) or "none"
    return str(value).replace("_", " ").lower() if _CODE.fullmatch(str(value)) else str(value)


def _source(entry: Entry) -> str:
    if entry.source is None:
        return ""
    where = entry.source.document if entry.source.place is None else f"{entry.source.document}, {entry.source.place}"
    return f"{where} (read {entry.source.read or 'on a day nobody wrote down'})"


def _said(change: Change) -> str:
    before, after = _short(change.before), _short(change.after)
    if change.answer_changed:
        return f"was {before}, is now {after}"
    if change.before.standing is not change.after.standing:
        return f"the same answer, was {_STANDINGS[change.before.standing]}, is now {_STANDINGS[change.after.standing]}"
    return "the same answer, with another source or note"


def _short(entry: Entry) -> str:
    if not entry.known:
        return "unknown"
    return _value(entry.value).replace("\n", "; ") if entry.applicable else "said not to arise"


def _finding_data(finding: Finding) -> Mapping[str, Any]:
    return {
        "level": finding.level.value,
        "code": finding.code,
        "question": finding.question,
        "sentence": finding.sentence,
    }


def _tell_findings(found: Mapping[str, Sequence[Finding]], errors: int) -> None:
    said = output.console().print
    for name, findings in found.items():
        rows = [
            (finding.level, finding.question or "the version", finding.sentence)
            for finding in findings
            if finding.level is not Level.OPEN or finding.sentence != "Unknown."
        ]
        output.table((name, "question", "what to look at"), rows, wide=("what to look at",))
        for section, questions in _open(findings):
            said(output.plain(f"unknown, {section}: {', '.join(questions)}"))
        counts = ", ".join(f"{sum(finding.level is level for finding in findings)} {level.value}" for level in Level)
        said(output.plain(f"{name}: of {len(QUESTIONS)} questions {counts}.\n"))
    said(f"{errors} errors in {len(found)} profiles. A doubt is to be asked about before anybody relies on it.")


def _open(findings: Sequence[Finding]) -> Iterator[tuple[str, list[str]]]:
    names = [finding.question for finding in findings if finding.level is Level.OPEN and finding.question]
    for section in SECTIONS:
        inside = [QUESTIONS[name].entry for name in names if QUESTIONS[name].section == section]
        if inside:
            yield section, inside


def _calendar(version: ProfileVersion) -> Iterator[Finding]:
    """Yield the errors in keys of the calendar library and the time zone database, which no form can show."""
    zone, key = version.entry("calendar.time_zone").value, version.entry("calendar.holidays").value
    if isinstance(zone, str):
        from zoneinfo import available_timezones

        if zone not in available_timezones():
            yield _no_such("calendar.time_zone", "The database of time zones has none of that name.")
    if isinstance(key, str):
        from holidays import list_supported_countries

        if key not in list_supported_countries():
            yield _no_such("calendar.holidays", "The calendar library has no country of that key.")


def _no_such(question: str, sentence: str) -> Finding:
    return Finding(level=Level.ERROR, code="no-such-key", question=question, sentence=sentence)
