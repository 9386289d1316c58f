# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm case erase`, `erasures`, `confirm` and `reject`: two persons erase a case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from broker.api import retention_views
from broker.cli import output
from broker.cli.acting import office_of, operator, with_office
from broker.cli.input import named_case, one_of, parsed
from broker.core.content import time_to_text
from broker.core.erasures import Erasure, ErasureState, Listed
from broker.core.ids import ErasureId
from broker.core.retention import EraseReason, KeepReason

if TYPE_CHECKING:
    from broker.flows.retain.list_case import Case
    from broker.office import Office

__all__ = ["confirm", "erase", "erasures", "reject"]

_MOST = 200
_WAIT_SECONDS = 180.0  # a running node begins the next epoch within a minute
_LOOK_SECONDS = 1.0


def erase(case: str, home: Path, *, authority: str | None, reason: str, dry_run: bool, as_json: bool) -> None:
    """List what goes and, unless only that is asked for, propose it.

    Raises:
        BadRequest: no such reason or office.
        SenderError: it cannot be erased now.
        NodeError: the store cannot be used.
    """
    wanted, why = named_case(case), one_of(EraseReason.of_people(), reason, "--reason")

    async def work(office: Office) -> tuple[Case, Listed, Erasure | None]:
        who = operator(office_of(office, authority))
        found, listed = await office.erase.look(wanted, why, authority=who.authority)
        return found, listed, None if dry_run else await office.erase.propose(wanted, why, who)

    found, listed, made = with_office(home, work)

    def people() -> None:
        say = output.console().print
        _print_list(found, listed)
        if made is not None:
            say(
                f"Proposed ({why.law}). Within 7 days another person confirms: "
                f"trm case confirm {made.id} {output.where(home, authority)}"
            )

    document = {"reason": why, "law": why.law, "listed": retention_views.listed(found, listed)}
    output.answer(
        document if made is None else {**document, "erasure": retention_views.erasure(made)},
        as_json=as_json,
        people=people,
    )


def erasures(home: Path, *, authority: str | None, as_json: bool) -> None:
    """List the office's erasures, newest first.

    Raises:
        BadRequest: no such office.
        NodeError: the store cannot be read.
    """

    async def work(office: Office) -> tuple[tuple[Erasure, int], ...]:
        us = office_of(office, authority)
        return await office.store.read(
            lambda reader: tuple(
                (row, reader.retention.duties_of(row.id)) for row in reader.retention.erasures(us, limit=_MOST)
            )
        )

    found = with_office(home, work)

    def people() -> None:
        if not found:
            output.console().print("No erasure was proposed or asked for.")
            return
        lines = [
            (row.id, row.peer, row.case_ref or row.procedures[0], row.reason, row.proposed_by, _state(row, left))
            for row, left in found
        ]
        output.table(("erasure", "with", "case", "reason", "by", "state"), lines, wide=("erasure", "case"))

    output.answer(
        {"items": [retention_views.erasure(row, left) for row, left in found]}, as_json=as_json, people=people
    )


def confirm(erasure: str, home: Path, *, authority: str | None, wait: bool, as_json: bool) -> None:
    """Erase what another person proposed.

    Raises:
        BadRequest: no such office.
        Forbidden: who proposed it does not confirm it.
        SenderError: it cannot be erased now.
        NodeError: the store cannot be written.
    """
    wanted = parsed(ErasureId, erasure, "ID")

    async def work(office: Office) -> Erasure:
        done = await office.erase.confirm(wanted, operator(office_of(office, authority)))
        return await _final(office, done) if wait else done

    done = with_office(home, work)

    def people() -> None:
        say = output.console().print
        say(
            "Erased: no contents of this case open any more on this node. The backup of keys still has its key until "
            "trm backup make replaces it."
        )
        if done.final is not None:
            say(f"Final since {time_to_text(done.final)}: no older copy of the database opens them either.")
            return
        say(
            "Final as soon as the running node has begun the next epoch, within a minute: trm case erasures shows it.\n"
            f"Where no node runs: trm keys rotate --which wrapping --home {output.word(home)}"
        )

    output.answer(retention_views.erasure(done), as_json=as_json, people=people)


def reject(erasure: str, home: Path, *, authority: str | None, why: str | None, as_json: bool) -> None:
    """Say that a case is not erased.

    Raises:
        BadRequest: no such office.
        NotFound, AlreadySettled: it does not wait for the office.
        NodeError: the store cannot be written.
    """
    wanted = parsed(ErasureId, erasure, "ID")
    kept = None if why is None else one_of(KeepReason, why, "--why")

    async def work(office: Office) -> Erasure:
        return await office.erase.reject(wanted, operator(office_of(office, authority)), kept)

    done = with_office(home, work)
    output.answer(
        retention_views.erasure(done),
        as_json=as_json,
        people=lambda: output.console().print("Rejected; nothing was erased."),
    )


async def _final(office: Office, done: Erasure) -> Erasure:
    until = office.clock.monotonic() + _WAIT_SECONDS
    found: Erasure | None = done
    while found is not None and found.final is None and office.clock.monotonic() < until:
        await office.clock.sleep(_LOOK_SECONDS)
        found = await office.store.read(lambda reader: reader.retention.erasure(done.id))
    return found or done


def _print_list(case: Case, listed: Listed) -> None:
    say = output.console().print
    say(f"Case {case.case_ref or case.procedures[0]} with {case.peer}:")
    lines = [(one.id, one.direction, one.type, time_to_text(one.at)) for one in listed.messages]
    output.table(("message", "", "type", "at"), lines, wide=("message",))
    say(
        f"Goes: contents of {len(listed.messages)} messages, {listed.attachments} attachments, {len(listed.drafts)} held "
        f"messages with {listed.uploads} files, every search entry, what an adapter handed over.\n"
        "Stays: ids, types, offices, times, digests, receipts, the record of the procedures, the audit trail."
    )
    for hindrance in listed.hindrances:
        say(f"Not now: {hindrance.error.detail}")


def _state(row: Erasure, left: int) -> str:
    if row.state is not ErasureState.ERASED:
        return row.state
    if row.final is None:
        return "erased, not final"
    return f"final, {left} copies to remove" if left else "final"
