# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm case`: names, options and help of the commands about one case."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson, AsOffice, Home

__all__ = ["case_commands"]

Case = Annotated[str, typer.Argument(help="The case reference towards a country, or a procedure's id.")]
Proposal = Annotated[str, typer.Argument(metavar="ID", help="The id of an erasure, as 'trm case erasures' shows it.")]


def case_commands() -> typer.Typer:
    """Return the group with every command."""
    app = typer.Typer(
        help="One case: find it, see what went to whom and how long it is kept, and erase it.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (search, disclosures, retention, hold, review, erase, erasures, confirm, reject, answer):
        app.command()(command)
    app.command("pass-on")(pass_on)
    return app


def search(
    home: Home,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Whole words of a name, in any order; '-' reads one line from standard input."),
    ] = None,
    born: Annotated[
        str | None, typer.Option("--born", help="As much as is known: 2014-05-03, 2014-05 or 2014.")
    ] = None,
    procedure: Annotated[
        str | None,
        typer.Option(
            "--procedure", help="Instead of a name: the other procedures that may be about the child of this one."
        ),
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            help="What for: casework, other-country, access-request or supervisory-authority; it stands in the audit trail.",
        ),
    ] = "casework",
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Find the procedures that speak of a person, by name and birth.

    Case, accents and marks do not count, and neither does the order of the words; part of a word finds nothing. Without a
    name the date of birth must be whole. At most 20 procedures of your office are shown, without their contents. That you
    searched is on record, and not for whom: but what you type may stay in your shell's history. Use '--name -' there, or
    --procedure, which looks for the child of that procedure with every other country, without anybody typing it. What is
    found may be another child of that name and birth: you decide.

    \b
    Example:
      trm case search --name "Test-Maarika Naidis" --born 2014 --home ./ee
      trm case search --procedure 01920000-0000-7000-8000-000000000001 --home ./ee
    """
    from broker.cli.searching import search as work

    work(home, name=name, born=born, procedure=procedure, reason=reason, authority=authority, as_json=as_json)


def disclosures(
    case: Case,
    home: Home,
    authority: AsOffice = None,
    reason: Annotated[
        str, typer.Option("--reason", help="What for, as in 'trm audit list'; it stands in the audit trail.")
    ] = "access-request",
    as_json: AsJson = False,
) -> None:
    """Show what of a case went to whom, when and on which basis.

    For the answer to an access request (GDPR 15): recipients, purposes and legal bases of what was sent, the sources of
    what was received, and the corrections that were passed on and are not confirmed yet. No content is shown. A case has a
    reference of its own towards each country: ask for each.

    \b
    Example:
      trm case disclosures CR-0123456789ABCDEFGHJK --home ./ee
    """
    from broker.cli.disclosures import disclosures as work

    work(case, home, authority=authority, reason=reason, as_json=as_json)


def retention(
    home: Home,
    due: Annotated[bool, typer.Option("--due", help="Only what is to be reviewed now.")] = False,
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """List until when each case is kept, why, and what is under a legal hold; the next review first.

    No law gives a number: the node's rules do (retention.json in its home folder, else the product's defaults), counted
    from the newest message. When a review is due a person is called; nothing is erased by itself.

    \b
    Example:
      trm case retention --home ./ee --due
    """
    from broker.cli.retention import list_kept as work

    work(home, authority=authority, due=due, as_json=as_json)


def hold(
    case: Case,
    home: Home,
    why: Annotated[
        str | None,
        typer.Option(
            help="criminal-proceedings, court-proceedings, legal-claim, restriction, supervisory-authority or complaint; "
            "it is audited."
        ),
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="End the legal hold.")] = False,
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Put a case under a legal hold: nothing of it is erased, by nobody, until the hold is released.

    \b
    Example:
      trm case hold CR-0123456789ABCDEFGHJK --home ./ee --why court-proceedings
    """
    from broker.cli.retention import hold as work

    work(case, home, authority=authority, why=why, release=release, as_json=as_json)


def review(
    case: Case,
    home: Home,
    keep_until: Annotated[
        str, typer.Option(help="The day of the next review, like 2027-06-30; at most five years ahead.")
    ],
    why: Annotated[
        str, typer.Option(help="case-goes-on, duty-of-law, claims-possible or child-may-ask; it is audited.")
    ],
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Review a case and keep it on until a day, for a reason. A new message begins its time anew.

    \b
    Example:
      trm case review CR-0123456789ABCDEFGHJK --home ./ee --keep-until 2027-06-30 --why claims-possible
    """
    from broker.cli.retention import review as work

    work(case, home, authority=authority, keep_until=keep_until, why=why, as_json=as_json)


def erase(
    case: Case,
    home: Home,
    reason: Annotated[
        str,
        typer.Option(
            help="no-longer-needed, consent-withdrawn, objection, unlawful, wrong-person, legal-obligation, court-order "
            "or authority-order; it is audited."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """List exactly what goes, and propose to erase it. A second person confirms within 7 days.

    Refused during a legal hold, while a procedure of the case is open or a correction is not answered (a court's or
    supervisory authority's order waits for neither), and while messages are on their way. Other countries that were
    sent the case are told before, by 'trm case pass-on'.

    \b
    Example:
      trm case erase CR-0123456789ABCDEFGHJK --home ./ee --reason no-longer-needed --dry-run
    """
    from broker.cli.erasure import erase as work

    work(case, home, authority=authority, reason=reason, dry_run=dry_run, as_json=as_json)


def erasures(home: Home, authority: AsOffice = None, as_json: AsJson = False) -> None:
    """List what was proposed, what other countries ask for, and what is erased; newest first.

    Final means that no older copy of the database opens it either, once only the newest copy of the vault is left.

    \b
    Example:
      trm case erasures --home ./ee
    """
    from broker.cli.erasure import erasures as work

    work(home, authority=authority, as_json=as_json)


def confirm(
    erasure: Proposal,
    home: Home,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the running node has made it final.")] = False,
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Erase for good what another person proposed. There is no way back.

    \b
    Example:
      trm case confirm 01920000-0000-7000-8000-000000000000 --home ./ee
    """
    from broker.cli.erasure import confirm as work

    work(erasure, home, authority=authority, wait=wait, as_json=as_json)


def reject(
    erasure: Proposal,
    home: Home,
    why: Annotated[
        str | None,
        typer.Option(
            help="case-goes-on, duty-of-law, claims-possible or child-may-ask; needed where another country asked, which is told."
        ),
    ] = None,
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Say that a case is not erased. Who proposed it may take it back so.

    \b
    Example:
      trm case reject 01920000-0000-7000-8000-000000000000 --home ./ee
    """
    from broker.cli.erasure import reject as work

    work(erasure, home, authority=authority, why=why, as_json=as_json)


def pass_on(
    case: Case,
    home: Home,
    kind: Annotated[str, typer.Option(help="rectify, restrict or erase.")],
    reason: Annotated[str | None, typer.Option(help="Of an erasure, as in 'trm case erase'.")] = None,
    details: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with members of the message's body: fields and rests_on to rectify, ground to restrict."
        ),
    ] = None,
    message: Annotated[
        list[str] | None, typer.Option(help="Only this message; again for more. Default: all that was sent.")
    ] = None,
    office_kind: Annotated[
        str | None, typer.Option(help="What kind of office yours is, where the case does not say.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list whom it would go to.")] = False,
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Tell every office that was sent a case what is rectified, restricted or erased here (GDPR 19).

    Each gets an ordinary message that the safeguards judge; 'trm case disclosures' shows who has answered, and a person
    is called when nobody answers in time. A case has a reference of its own towards each country: pass on for each.

    \b
    Example:
      trm case pass-on CR-0123456789ABCDEFGHJK --home ./ee --kind erase --reason unlawful
    """
    from broker.cli.passing import pass_on as work

    work(
        case, home, authority=authority, kind=kind, reason=reason, details=details, messages=message or (),
        office_kind=office_kind, dry_run=dry_run, as_json=as_json,
    )  # fmt: skip


def answer(
    message: Annotated[str, typer.Argument(metavar="ID", help="The id of another country's correction message.")],
    home: Home,
    outcome: Annotated[str, typer.Option(help="DONE, PARTLY, KEPT or NOT_HELD.")],
    why: Annotated[str, typer.Option(help="For its officers; needed with PARTLY and KEPT.")] = "",
    office_kind: Annotated[
        str | None, typer.Option(help="What kind of office yours is, where no message says.")
    ] = None,
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Report what was done with what another country corrected, restricted or wants erased.

    An erasure that was asked for and is confirmed or rejected here is reported by itself.

    \b
    Example:
      trm case answer 01920000-0000-7000-8000-000000000000 --home ./fi --outcome DONE
    """
    from broker.cli.passing import answer as work

    work(message, home, authority=authority, outcome=outcome, why=why, office_kind=office_kind, as_json=as_json)
