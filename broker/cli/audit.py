# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm audit`: check, look at and give out this node's audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.api import views
from broker.cli import output
from broker.cli.acting import operator, with_office
from broker.cli.audit_files import read_witness
from broker.cli.audit_options import chosen, period_of
from broker.cli.input import one_of
from broker.core.audit import AuditAction, AuditReason
from broker.core.content import time_to_text
from broker.core.errors import BadRequest, NotFound
from broker.core.ids import CountryCode
from broker.core.trail import Finding, Tampering
from broker.flows.verify_audit import Verdict, VerifyAudit
from broker.rows import AuditFilter, Page
from broker.settings import Settings
from broker.system import ThreadCompute
from broker.trail_file import MAX_LINE, FileVerdict, check_file
from broker.trust.opening import trust_in_force
from broker.trust.past import member_then

if TYPE_CHECKING:
    from broker.office import Office

__all__ = ["list_entries", "show", "verify"]

_SAID = {
    Tampering.REMOVED: "entries are missing",
    Tampering.DOUBLED: "a place is taken twice",
    Tampering.CHANGED: "the entry is not the one that was linked",
    Tampering.BROKEN: "the chain breaks here: an entry was inserted, moved, removed or changed",
    Tampering.CUT_OFF: "the trail ends before a head that was signed",
    Tampering.REWRITTEN: "the chain is not the one that was signed",
    Tampering.NOT_SIGNED: "not signed by this node's keys of that time",
    Tampering.OUTSIDE: "an entry stands outside of the chain although a later time was signed",
    Tampering.WITHHELD: "the entry is left out of a file that says that it leaves nothing out",
}

_BOUNDS = (("since", "from"), ("until", "before"))


def verify(home: Path | None, *, witnesses: Sequence[Path], file: Path | None, as_json: bool) -> int:
    """Check the trail, or a file; return the exit code.

    Raises:
        BadRequest: neither a home nor a file is named, or a file is none of its kind.
        NodeError: the store cannot be read.
    """
    if file is not None:
        return _verify_file(file, home, as_json=as_json)
    if home is None:
        raise BadRequest("Name the node's home, or the exported file.", where="--home")
    statements = [statement for path in witnesses for statement in read_witness(path)]

    async def work(office: Office) -> Verdict:
        compute = ThreadCompute(1)
        try:
            check = VerifyAudit(
                us=office.us,
                store=office.store,
                compute=compute,
                clock=office.clock,
                member_then=member_then(office.us),
            )
            return await check(statements)
        finally:
            compute.close()

    verdict = with_office(home, work, without_vault=True)
    output.answer(_verdict(verdict), as_json=as_json, people=lambda: _print_verdict(verdict))
    return output.EXIT_OK if verdict.intact else output.EXIT_REFUSED


def list_entries(
    home: Path,
    *,
    reason: str,
    since: str | None,
    until: str | None,
    cases: Sequence[str],
    actor: str | None,
    action: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List entries, newest first.

    Raises:
        BadRequest: an option is not of its form.
        BadCursor: the cursor is none of this list.
        NodeError: the store cannot be read or written.
    """
    why = one_of(AuditReason, reason, "--reason")
    period = period_of(since, until)
    if action is not None:
        one_of(AuditAction, action, "--action", what="The action")

    async def work(office: Office) -> Page:
        procedures = await chosen(office, cases)
        wanted = AuditFilter(since=period[0], until=period[1], procedures=procedures, actor=actor, action=action)
        page = await office.store.read(lambda reader: reader.audit(cursor=cursor, limit=limit, wanted=wanted))
        await office.consult.trail(page, operator(), reason=why)
        return page

    page = with_office(home, work, without_vault=True)

    def people() -> None:
        output.table(
            ("place", "time (UTC)", "who", "role", "action", "subject", "with", "why", "detail"),
            (
                (
                    row.position,
                    _short(row.at),
                    row.actor,
                    row.role,
                    row.action,
                    row.subject,
                    row.peer,
                    row.reason,
                    row.detail,
                )
                for row in page.items
            ),
            wide=("who", "subject", "detail"),
        )
        output.follows(page.next)

    output.answer(views.page(page, views.audit_row), as_json=as_json, people=people)


def show(position: int, home: Path, *, reason: str, as_json: bool) -> None:
    """Show one entry in its place.

    Raises:
        BadRequest: no such reason.
        NotFound: nothing is linked at that place.
        NodeError: the store cannot be read or written.
    """
    why = one_of(AuditReason, reason, "--reason")

    async def work(office: Office) -> Any:
        found = await office.store.read(lambda reader: reader.audit_trail(position - 1, 1))
        if not found or found[0].position != position:
            raise NotFound
        await office.consult.trail(Page(items=(), next=None), operator(), reason=why, position=position)
        return found[0]

    linked = with_office(home, work, without_vault=True)
    document = {
        "position": linked.position,
        "digest": linked.digest,
        "chain": linked.chain,
        "entry": json.loads(linked.raw),
    }

    def people() -> None:
        for name, value in {
            **document["entry"],
            "position": position,
            "digest": linked.digest,
            "chain": linked.chain,
        }.items():
            output.console().print(f"{name:<12}{output.plain('' if value is None else str(value))}")

    output.answer(document, as_json=as_json, people=people)


def _verify_file(file: Path, home: Path | None, *, as_json: bool) -> int:
    try:
        with file.open("rb") as stream:
            country = _country_of(stream.readline(MAX_LINE))
            stream.seek(0)
            listed = None if home is None else trust_in_force(Settings.load(home)).members.get(country)
            verdict = check_file(iter(lambda: stream.readline(MAX_LINE), b""), listed)
    except OSError as error:
        raise BadRequest(f"The file cannot be read ({type(error).__name__}).", where=str(file)) from None
    output.answer(_file_verdict(verdict), as_json=as_json, people=lambda: _print_file_verdict(verdict))
    return output.EXIT_OK if verdict.intact else output.EXIT_REFUSED


def _country_of(line: bytes) -> CountryCode:
    try:
        return CountryCode(json.loads(line)["country"])
    except (ValueError, KeyError, TypeError):
        raise BadRequest("This is no export of an audit trail.", where="--file") from None


# --- showing ----------------------------------------------------------------------------------------------------------


def _finding(finding: Finding) -> dict[str, Any]:
    found = {"kind": finding.kind, "first": finding.first, "last": finding.last, "said": _SAID[finding.kind]}
    return found if finding.held_by is None else found | {"held_by": finding.held_by}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "intact": verdict.intact,
        "first": verdict.start.position + 1,
        "last": verdict.end.position,
        "head": verdict.end.chain,
        "proven": verdict.proven,
        "checkpoints": verdict.checkpoints,
        "witnesses": verdict.witnesses,
        "not_linked_yet": verdict.waiting,
        "found": verdict.found,
        "findings": [_finding(finding) for finding in verdict.findings],
        "outside": [entry.id for entry in verdict.outside],
        "restored": [
            {"first": one.first, "last": one.last, "at": time_to_text(one.restored), "held_by": one.held_by}
            for one in verdict.restored
        ],
    }


def _print_verdict(verdict: Verdict) -> None:
    say = output.console().print
    say(f"Entries {verdict.start.position + 1} to {verdict.end.position}; {verdict.waiting} more are not linked yet.")
    say(f"{verdict.checkpoints} own checkpoints and {verdict.witnesses} held by other countries.")
    say(f"Proven by a signed head up to {verdict.proven}.")
    _print_findings(verdict.findings)
    if verdict.found > len(verdict.findings):
        say(f"… and {verdict.found - len(verdict.findings)} more.")
    for one in verdict.restored:
        say(
            f"Entries {one.first} to {one.last} are missing: the node was restored from a backup on "
            f"{one.restored:%Y-%m-%d %H:%M} UTC, as its trail says; {one.held_by} holds the head of the last of them."
        )
    say("Nothing is wrong." if verdict.intact else "The trail was tampered with. Tell the security officer.")


def _file_verdict(verdict: FileVerdict) -> dict[str, Any]:
    return {
        "intact": verdict.intact,
        "about": {name: value for name, value in verdict.about.items() if name not in {"keys", "start"}},
        "entries": verdict.entries,
        "shown": verdict.shown,
        "last": verdict.end.position,
        "keys": list(verdict.kids),
        "keys_from_trust_list": verdict.listed,
        "findings": [_finding(finding) for finding in verdict.findings],
    }


def _print_file_verdict(verdict: FileVerdict) -> None:
    say = output.console().print
    about = verdict.about
    say(
        f"Audit trail of {about['country']}, given out {output.plain(str(about['made']))} for {output.plain(str(about['reason']))}."
    )
    say(
        f"{verdict.entries} entries up to {verdict.end.position}; {verdict.shown} are shown, of the others only the digest."
    )
    say(_limits(about["filter"]))
    _print_findings(verdict.findings)
    if not verdict.listed:
        say("The file itself says whose keys these are. Compare them with what the federation publishes:")
    else:
        say("The keys are those of the trust list:")
    for kid in verdict.kids:
        say(f"  {kid}")
    say("Nothing is wrong." if verdict.intact else "The file was tampered with.")


def _limits(limits: Mapping[str, Any]) -> str:
    """Return what a file says that it shows: nobody can tell by its digest whether an entry was rightly left out."""
    said = [f"{word} {output.plain(str(limits[name]))}" for name, word in _BOUNDS if limits.get(name) is not None]
    if limits.get("procedures") is not None:
        number = len(limits["procedures"])
        said.append("of one procedure" if number == 1 else f"of {number} procedures")
    return f"It says that it shows what is {', '.join(said)}." if said else "It says that it shows everything."


def _print_findings(findings: Iterable[Finding]) -> None:
    for item in findings:
        place = f"at {item.last}" if item.first == item.last else f"from {item.first} to {item.last}"
        proof = "" if item.held_by is None else f" (proof held by {item.held_by})"
        output.console().print(f"{item.kind} {place}: {_SAID[item.kind]}{proof}")


def _short(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
