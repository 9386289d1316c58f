# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The commands' names, options and help; each does its work in a module that is imported only when it is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from broker.cli.app_arrangement import arrangement_commands
from broker.cli.app_attachment import attachment_commands
from broker.cli.app_audit import audit_commands
from broker.cli.app_backup import backup_commands, restore
from broker.cli.app_broker import broker_commands
from broker.cli.app_case import case_commands
from broker.cli.app_healing import healing_commands
from broker.cli.app_held import held_commands
from broker.cli.app_keys import key_commands
from broker.cli.app_labels import labels_commands
from broker.cli.app_profile import profile_commands
from broker.cli.app_sealed import open_, seal
from broker.cli.app_trust import trust_commands
from broker.cli.options import AsJson, AsOffice, Home
from broker.cli.output import EXIT_USAGE

__all__ = ["build", "run"]

AsPeer = Annotated[
    str | None, typer.Option("--peer", help="Where several countries used one id: the other country, e.g. FI.")
]


def run(arguments: list[str]) -> int:
    """Run the command that the arguments name and return its exit code."""
    try:
        code = _command()(args=arguments, prog_name="trm", standalone_mode=False)
    except typer.TyperException as error:
        typer.echo(f"trm: {error.format_message()}\n  'trm --help' and 'trm COMMAND --help' show how.", err=True)
        return EXIT_USAGE
    except typer.Abort:
        return EXIT_USAGE
    return code if isinstance(code, int) else 0


@cache
def _command() -> Callable[..., object]:
    return typer.main.get_command(build()).main  # made once: it is slow to make


def build() -> typer.Typer:
    """Return the application with every command."""
    app = typer.Typer(
        name="trm",
        help=_ABOUT,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for command in (
        init,
        serve,
        demo,
        submit,
        inbox,
        show,
        resend,
        timeline,
        validate,
        doctor,
        token,
        vectors,
        restore,
    ):
        app.command()(command)
    app.command()(seal)
    app.command("open")(open_)
    app.add_typer(key_commands(), name="keys")
    app.add_typer(held_commands(), name="held")
    app.add_typer(broker_commands(), name="broker")
    app.add_typer(attachment_commands(), name="attachment")
    app.add_typer(labels_commands(), name="labels")
    app.add_typer(profile_commands(), name="profile")
    app.add_typer(arrangement_commands(), name="arrangement")
    app.add_typer(trust_commands(), name="trust")
    app.add_typer(audit_commands(), name="audit")
    app.add_typer(case_commands(), name="case")
    app.add_typer(backup_commands(), name="backup")
    app.add_typer(healing_commands(), name="healing")
    return app


_ABOUT = """One country's node of the transnational referral message broker.

A node gives messages about a child's case to another country's node, sealed and signed, and holds the same record
of the work as the other side. The usual way:

\b
  trm demo                        see three countries work together, on this machine
  trm init EE --home ./ee         make a home for a country's node
  trm doctor --home ./ee          check everything it needs, and what to do
  trm serve --home ./ee           run it
  trm submit FILE --home ./ee     send a message from a file
  trm inbox --home ./ee           see what has come in and what went out

Set TRM_HOME to leave out --home. Exit codes: 0 done, 1 refused or a check failed, 2 wrongly typed, 3 the node or its
surroundings failed."""


def init(
    country: Annotated[str, typer.Argument(help="The country, as ISO 3166-1 alpha-2, e.g. EE.")],
    home: Home,
    authority: Annotated[
        list[str] | None,
        typer.Option("--authority", help="An office that uses this node, as ID=NAME; may be repeated."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", help="Where the vault's passphrase is; made if missing. Default: ask."),
    ] = None,
    spool: Annotated[
        Path | None, typer.Option("--spool", help="Exchange messages through this shared folder. Default: in the home.")
    ] = None,
    amqp_url: Annotated[
        str | None, typer.Option("--amqp-url", help="Exchange messages through this RabbitMQ instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a home folder for a country's node.

    It gets keys in a vault, settings, and a token issuer. Prints what the other countries must know of this node
    (public keys only) and the next step. An existing home is never written over.

    \b
    Examples:
      trm init EE --home ./ee --authority "social-insurance-board=Social Insurance Board"
      trm init EE --home ./ee --authority desk=Desk --passphrase-file ./ee.pass --amqp-url amqp://EE@broker/trm
    """
    from broker.cli.init import init as work

    work(
        country,
        home,
        authorities=authority or [],
        passphrase_file=passphrase_file,
        spool=spool,
        amqp_url=amqp_url,
        as_json=as_json,
    )


def serve(
    home: Home,
    until_eof: Annotated[
        bool,
        typer.Option("--until-eof", help="Stop also when standard input ends, i.e. with the process that started it."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the node until Ctrl-C or SIGTERM.

    Says one line when it is ready, with the address of its API. Stopping finishes what is in hand first. With --json
    the line is a JSON document: {"event": "ready", "country", "url", "pid"}.

    \b
    Example:
      trm serve --home ./ee
    """
    from broker.cli.serve import serve as work

    work(home, until_eof=until_eof, as_json=as_json)


def demo(
    transport: Annotated[
        str, typer.Option("--transport", help="rabbitmq, spool (no server at all), or auto: rabbitmq if it can be had.")
    ] = "auto",
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where the three homes are made; must be empty. Default: a new one.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--remove", help="Keep the files for looking at, or remove them.")
    ] = True,
    as_json: AsJson = False,
) -> int:
    """See three countries work together, here and now.

    Estonia asks Finland to find a child's mother; Sweden looks on in vain. Three nodes start as processes of their
    own; one family tracing request and its answer walk through them; both countries are shown to hold the same record
    and the third to have seen nothing. Everyone in it is invented. Leaves no process behind; the files stay unless
    --remove is said.

    \b
    Examples:
      trm demo
      trm demo --transport spool --json
    """
    from broker.cli.demo import demo as work

    return work(transport, folder=folder, keep=keep, as_json=as_json)


def submit(
    file: Annotated[
        Path, typer.Argument(help="The message as JSON, the same that the API takes; - is standard input.")
    ],
    home: Home,
    authority: AsOffice = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Replace the file's recipient, as COUNTRY/AUTHORITY, e.g. FI/tracing-office."),
    ] = None,
    procedure: Annotated[
        str | None, typer.Option("--procedure", help="Replace the file's procedure: answer in an open one.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            help="Repeating a submission under its key sends nothing twice. Default: the file's digest.",
        ),
    ] = None,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            "--attach",
            help="Attach this file, as FILE or FILE=KIND, e.g. decision.pdf=COURT_DECISION; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send the message that a file holds.

    It is accepted once it is stored for good. Works while the node runs and while it does not: a running node sends
    it at once, else the next start does.

    \b
    Examples:
      trm submit request.json --home ./ee
      trm submit request.json --home ./ee --to FI/tracing-office --json
      trm submit request.json --home ./ee --attach decision.pdf=COURT_DECISION
    """
    from broker.cli.messages import submit as work

    work(
        file,
        home,
        authority=authority,
        to=to,
        procedure=procedure,
        key=idempotency_key,
        attach=attach or [],
        as_json=as_json,
    )


def inbox(
    home: Home,
    authority: AsOffice = None,
    direction: Annotated[str, typer.Option("--direction", help="in: received, out: sent, all: both.")] = "in",
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List messages, without their content.

    Shows when, from whom, of what type and in which state; 'trm show ID' shows one message.

    \b
    Examples:
      trm inbox --home ./fi
      trm inbox --home ./fi --direction all --json
    """
    from broker.cli.messages import inbox as work

    work(home, authority=authority, direction=direction, limit=limit, as_json=as_json)


def show(
    message: Annotated[str, typer.Argument(help="The message's id, as 'trm inbox' shows it.")],
    home: Home,
    authority: AsOffice = None,
    peer: AsPeer = None,
    direction: Annotated[str, typer.Option("--direction", help="Where an id is used both ways: in or out.")] = "all",
    opened: Annotated[
        bool, typer.Option("--opened", help="Also tell the sender that an officer has seen it (a signed receipt).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one message with its content.

    This is personal data: mind who looks on.

    \b
    Example:
      trm show 01920000-0000-7000-8000-000000000000 --home ./fi --opened
    """
    from broker.cli.messages import show as work

    work(message, home, authority=authority, peer=peer, direction=direction, opened=opened, as_json=as_json)


def resend(
    message: Annotated[str, typer.Argument(help="The id of a sent message, as 'trm inbox --direction out' shows it.")],
    home: Home,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", help="no-answer, peer-asked, peer-restored, fault-mended or evidence-missing; it is audited."
        ),
    ],
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Send a message once more.

    For one that stays unanswered, or whose receipts were lost: the other side takes it once, and answers again with
    every receipt that it has. What was opened or refused is settled and is not sent again.

    \b
    Example:
      trm resend 01920000-0000-7000-8000-000000000000 --home ./ee --reason peer-asked
    """
    from broker.cli.messages import resend as work

    work(message, home, authority=authority, reason=reason, as_json=as_json)


def timeline(
    procedure: Annotated[str, typer.Argument(help="The procedure's id, or the id of one of its messages.")],
    home: Home,
    authority: AsOffice = None,
    peer: AsPeer = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened in a procedure, and its digest.

    Time, who, what, state and evidence of every step. The other country's digest over the same messages is equal, or someone must look into it.

    \b
    Example:
      trm timeline 01920000-0000-7000-8000-000000000000 --home ./ee
    """
    from broker.cli.messages import timeline as work

    work(procedure, home, authority=authority, peer=peer, as_json=as_json)


def validate(
    file: Annotated[Path, typer.Argument(help="A message as JSON, or a bare body together with --type.")],
    type_name: Annotated[
        str | None,
        typer.Option("--type", help="The message type, e.g. family-tracing.request: the file is its body alone."),
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="With --type: the schema version. Default: newest.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check a file against its schema.

    Lists everything that is wrong, each with its place in the file. Needs no node and sends nothing. Exit code 1 where something is wrong.

    \b
    Examples:
      trm validate schemas/examples/demo/request.json
      trm validate body.json --type family-tracing.request
    """
    from broker.cli.validate import validate as work

    return work(file, type_name=type_name, version=version, as_json=as_json)


def doctor(home: Home, as_json: AsJson = False) -> int:
    """Check what the node needs, and say what to do.

    Looks at settings, keys, clock, disk, store, broker and peers. Changes nothing, and may run beside the node. Exit code 1 where a check failed.

    \b
    Example:
      trm doctor --home ./ee
    """
    from broker.cli.doctor import doctor as work

    return work(home, as_json=as_json)


def token(
    home: Home,
    role: Annotated[str, typer.Option("--role", help="officer, system, auditor or admin.")] = "officer",
    authority: AsOffice = None,
    subject: Annotated[str, typer.Option("--subject", help="Who will use it; stands in the audit trail.")] = "cli",
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=1440, help="How long it is valid.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Issue an access token for the node's API.

    The node's own issuer signs it. A token is a secret: whoever holds it acts for that office until it ends.

    \b
    Example:
      curl -H "Authorization: Bearer $(trm token --home ./ee --role officer)" http://127.0.0.1:8080/api/v1/messages
    """
    from broker.cli.token import token as work

    work(home, role=role, authority=authority, subject=subject, minutes=minutes, as_json=as_json)


def vectors(
    folder: Annotated[
        Path | None, typer.Argument(help="Where they are. Default: all of tests/vectors of the source tree.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Also make a new set; its names, codes and layers must be the stored ones.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Run the test vectors of the envelope and of sealed parts here.

    Each names what must be accepted or which layer must refuse it with which code. Exit code 1 where one differs.

    \b
    Examples:
      trm vectors
      trm vectors --fresh --json
    """
    from broker.cli.vectors import vectors as work

    return work(folder, fresh=fresh, as_json=as_json)
