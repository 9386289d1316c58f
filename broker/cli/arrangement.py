# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm arrangement`: the register that the federation's officers sign; these commands edit a file, the ceremony signs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from broker.cli import output
from broker.cli.forms import read_written
from broker.cli.input import parsed, read_day
from broker.core.arrangements import (
    ALWAYS,
    Arrangement,
    ArrangementRegister,
    ArrangementStatus,
    Cover,
    Judgement,
    exchangeable,
)
from broker.core.errors import BadRequest, NotFound, TrustListInvalid
from broker.core.ids import ArrangementId, CountryCode
from broker.durable import write_durably
from broker.system import SystemClock
from broker.trust.arrangement_documents import (
    MAX_BYTES,
    arrangement_data,
    parse_arrangement,
    read_arrangements,
    write_arrangements,
)
from broker.trust.document_schemas import ARRANGEMENTS_SCHEMA

__all__ = ["add", "check", "end", "list_all", "show", "suspend"]

_SOON = timedelta(days=60)  # before an arrangement ends, its members want to know
_OPTIONS = {
    "title": "--title", "agreement": "--agreement", "source": "--source", "members": "--member",
    "procedures": "--procedure", "first_day": "--from", "last_day": "--until", "conditions": "--condition",
}  # fmt: skip
_WORDS = {
    Cover.COVERED: "in force",
    Cover.NOT_YET: "begins later",
    Cover.ENDED: "ended",
    Cover.SUSPENDED: "suspended",
}


def list_all(file: Path, *, on: str | None, as_json: bool) -> None:
    """List the arrangements and whether they hold on a day.

    Raises:
        BadRequest: the file or day cannot be read.
        TrustListInvalid: it is not a register.
    """
    day, items = _day(on), _read(file).arrangements
    document = {
        "on": day.isoformat(),
        "arrangements": [{**arrangement_data(item), "holds": item.cover(day).value} for item in items],
    }

    def people() -> None:
        rows = (
            (
                item.id,
                " ".join(sorted(item.members)),
                ", ".join(sorted(item.procedures)),
                _days(item),
                _WORDS[item.cover(day)],
            )
            for item in items
        )
        output.table(("id", "members", "procedures", "days", str(day)), rows, wide=("procedures",))

    output.answer(document, as_json=as_json, people=people)


def show(identifier: str, file: Path, *, as_json: bool) -> None:
    """Show one arrangement whole.

    Raises:
        BadRequest: the file or id cannot be read.
        NotFound: it is not in the register.
        TrustListInvalid: it is not a register.
    """
    item = _find(_read(file), identifier)

    def people() -> None:
        rows = [
            ("title", item.title),
            ("agreement", item.agreement),
            ("source", item.source),
            ("members", " ".join(sorted(item.members))),
            ("procedures", ", ".join(sorted(item.procedures))),
            ("days", _days(item)),
            ("status", item.status.value),
            *(("condition", condition) for condition in item.conditions),
        ]
        output.table(("arrangement", str(item.id)), rows, wide=(str(item.id),))

    output.answer(arrangement_data(item), as_json=as_json, people=people)


def check(file: Path, between: Sequence[str], *, home: Path | None, on: str | None, as_json: bool) -> int:
    """Say what to look at in the register or, for two countries, which procedures they may exchange and why.

    Raises:
        BadRequest: the file, day or a country cannot be read.
        TrustListInvalid: it is not a register.
    """
    day, register = _day(on), _read(file) if home is None else _signed(home)
    if between:
        return _check_between(register, between, day, as_json=as_json)
    found = list(_look(register, day))
    errors = sum(level == "error" for level, *_ in found)
    document = {
        "on": day.isoformat(),
        "errors": errors,
        "findings": [{"level": level, "arrangement": name, "sentence": said} for level, name, said in found],
    }

    def people() -> None:
        if found:
            output.table(("level", "arrangement", "what to look at"), found, wide=("what to look at",))
        output.console().print(f"{len(register.arrangements)} arrangements, {errors} errors.")

    output.answer(document, as_json=as_json, people=people)
    return output.EXIT_REFUSED if errors else output.EXIT_OK


def add(file: Path, data: dict[str, Any], *, as_json: bool) -> None:
    """Add an arrangement; a file that is not there yet is made.

    Raises:
        BadRequest: the arrangement has not its form, its id was used before, or the file cannot be read.
    """
    try:
        file.lstat()  # not `exists`, to which what cannot be looked at is not there: the register would be begun anew
    except FileNotFoundError:
        register = ArrangementRegister()
    else:
        register = _read(file)
    item = _parse(data)
    if register.find(item.id) is not None:
        raise BadRequest("There is an arrangement of that id; an id is never used twice.", where="ID")
    _write(file, (*register.arrangements, item))
    _told(
        item, f"Added {item.id} to {file}. It counts when the federation's officers have signed the register.", as_json
    )


def end(identifier: str, file: Path, *, on: str, as_json: bool) -> None:
    """Let an arrangement end on a day, which is its last.

    Raises:
        BadRequest: the file, id or day cannot be read, or the day lies before its first.
        NotFound: it is not in the register.
    """
    last = read_day(on, "--on")

    def change(item: Arrangement) -> Arrangement:
        if last < item.first_day:
            raise BadRequest("It has not begun by that day; the last day cannot lie before the first.", where="--on")
        return replace(item, last_day=last)

    said = f"ends with {last}; what was opened until then is brought to its end"
    _change(identifier, file, change, said, as_json=as_json)


def suspend(identifier: str, file: Path, *, lift: bool, as_json: bool) -> None:
    """Suspend an arrangement at once, or lift its suspension.

    Raises:
        BadRequest: the file or id cannot be read.
        NotFound: it is not in the register.
    """
    status = ArrangementStatus.IN_FORCE if lift else ArrangementStatus.SUSPENDED
    said = (
        "holds again"
        if lift
        else "is suspended: nothing passes under it but notices of danger, facts and what stops something"
    )
    _change(identifier, file, lambda item: replace(item, status=status), said, as_json=as_json)


# --- the register ----------------------------------------------------------------------------------------------------


def _check_between(register: ArrangementRegister, between: Sequence[str], day: date, *, as_json: bool) -> int:
    if len(between) != 2:
        raise BadRequest("Name two countries, or none.", where="COUNTRIES")
    one, other = (parsed(CountryCode, name, "COUNTRIES") for name in between)
    judged = exchangeable(register, one, other, day)
    document = {
        "between": [one, other],
        "on": day.isoformat(),
        "procedures": [_judgement_data(item) for item in judged],
    }

    def people() -> None:
        rows = ((item.procedure, "yes" if item.allowed else "no", item.sentence) for item in judged)
        output.table((f"{one} and {other} on {day}", "may", "because"), rows, wide=("because",))

    output.answer(document, as_json=as_json, people=people)
    return output.EXIT_OK


def _judgement_data(judged: Judgement) -> dict[str, Any]:
    return {
        "procedure": judged.procedure,
        "allowed": judged.allowed,
        "cover": judged.cover.value,
        "arrangements": [item.id for item in judged.arrangements],
        "sentence": judged.sentence,
    }


def _look(register: ArrangementRegister, day: date) -> Iterator[tuple[str, str, str]]:
    from broker.schema_files import load_catalogue

    known = {kind.procedure for kind in load_catalogue().types()}
    for item in register.arrangements:
        for procedure in sorted(item.procedures & ALWAYS):
            yield "error", item.id, f"{procedure} needs no arrangement: it must not look as if ending one could end it."
        for procedure in sorted(item.procedures - known - ALWAYS):
            yield "doubt", item.id, f"This program knows no procedure {procedure}."
        cover = item.cover(day)
        if cover is not Cover.COVERED:
            yield "note", item.id, f"It covers nothing on {day}: {_WORDS[cover]}."
        elif item.last_day is not None and item.last_day - day <= _SOON:
            yield "doubt", item.id, f"It ends with {item.last_day}."


def _parse(data: dict[str, Any]) -> Arrangement:
    try:
        return parse_arrangement({name: value for name, value in data.items() if value})
    except TrustListInvalid as error:
        name = (error.where or "").split("/")[1:2]
        raise BadRequest(error.detail, where=_OPTIONS.get(name[0] if name else "", "ID")) from None


def _change(
    identifier: str, file: Path, change: Callable[[Arrangement], Arrangement], said: str, *, as_json: bool
) -> None:
    register = _read(file)
    item = _find(register, identifier)
    changed = change(item)
    _write(file, tuple(changed if one is item else one for one in register.arrangements))
    _told(changed, f"{item.id} {said}. It counts when the federation's officers have signed the register.", as_json)


def _told(item: Arrangement, sentence: str, as_json: bool) -> None:
    output.answer(
        arrangement_data(item), as_json=as_json, people=lambda: output.console().print(output.plain(sentence))
    )


def _read(file: Path) -> ArrangementRegister:
    return read_written(file, read_arrangements, ARRANGEMENTS_SCHEMA, most=MAX_BYTES)


def _signed(home: Path) -> ArrangementRegister:
    from broker.settings import Settings
    from broker.trust.opening import trust_in_force

    register = trust_in_force(Settings.load(home)).arrangements
    if register is None:
        raise NotFound("The federation keeps no register: everything that a member lists is allowed.", where="--home")
    return register


def _write(file: Path, items: Sequence[Arrangement]) -> None:
    write_durably(file, write_arrangements(ArrangementRegister(arrangements=tuple(items))), mode=0o644)


def _find(register: ArrangementRegister, identifier: str) -> Arrangement:
    item = register.find(parsed(ArrangementId, identifier, "ID"))
    if item is None:
        raise NotFound("There is no arrangement of that id in the register.", where="ID")
    return item


def _day(on: str | None) -> date:
    return SystemClock().now().date() if on is None else read_day(on, "--on")


def _days(item: Arrangement) -> str:
    return f"{item.first_day} – {item.last_day or 'without end'}"
