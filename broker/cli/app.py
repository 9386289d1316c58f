# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The command `trm`: what stands where; each command does its work in a module that is imported only when it is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer

from broker.cli.app_arrangement import arrangement_commands
from broker.cli.app_attachment import attachment_commands
from broker.cli.app_attention import attention_commands
from broker.cli.app_audit import audit_commands
from broker.cli.app_authority import authority_commands
from broker.cli.app_backup import backup_commands, restore
from broker.cli.app_broker import broker_commands
from broker.cli.app_case import case_commands
from broker.cli.app_healing import healing_commands
from broker.cli.app_held import held_commands
from broker.cli.app_keys import key_commands
from broker.cli.app_labels import labels_commands
from broker.cli.app_messages import inbox, resend, show, submit, timeline, validate
from broker.cli.app_node import demo, doctor, init, serve, token, vectors
from broker.cli.app_profile import profile_commands
from broker.cli.app_sealed import open_, seal
from broker.cli.app_trust import trust_commands
from broker.cli.output import EXIT_USAGE, complain
from broker.core.errors import BadRequest

__all__ = ["build", "run"]

_COMMANDS: dict[str, Callable[..., int | None]] = {
    "init": init,
    "serve": serve,
    "demo": demo,
    "submit": submit,
    "inbox": inbox,
    "show": show,
    "resend": resend,
    "timeline": timeline,
    "validate": validate,
    "doctor": doctor,
    "token": token,
    "vectors": vectors,
    "restore": restore,
    "seal": seal,
    "open": open_,
}
_GROUPS: dict[str, Callable[[], typer.Typer]] = {
    "keys": key_commands,
    "attention": attention_commands,
    "authority": authority_commands,
    "held": held_commands,
    "broker": broker_commands,
    "attachment": attachment_commands,
    "labels": labels_commands,
    "profile": profile_commands,
    "arrangement": arrangement_commands,
    "trust": trust_commands,
    "audit": audit_commands,
    "case": case_commands,
    "backup": backup_commands,
    "healing": healing_commands,
}

_ABOUT = """One country's node of the transnational referral message broker.

A node gives messages about a child's case to another country's node, sealed and signed, and holds the same record
of the work as the other side. The usual way:

\b
  trm demo                        see three countries work together, on this machine
  trm init EE --home ./ee         make a home for a country's node
  trm doctor --home ./ee          check everything it needs, and what to do
  trm serve --home ./ee           run it
  trm submit FILE --home ./ee     send a message from a file
  trm inbox --home ./ee           see what has come in, with --direction all what went out too
  trm attention list --home ./ee  see what waits for a person

Set TRM_HOME to leave out --home. Exit codes: 0 done, 1 refused or a check failed, 2 wrongly typed, 3 the node or its
surroundings failed."""


def run(arguments: list[str]) -> int:
    """Run the command that the arguments name and return its exit code."""
    try:
        code = _command(arguments[0] if arguments else "")(args=arguments, prog_name="trm", standalone_mode=False)
    except typer.TyperException as error:
        if "--json" in arguments:
            complain(BadRequest(error.format_message()), as_json=True)
            return EXIT_USAGE
        typer.echo(f"trm: {error.format_message()}\n  'trm --help' and 'trm COMMAND --help' show how.", err=True)
        return EXIT_USAGE
    except typer.Abort:  # Ctrl-D, or a pipe that held less than was asked for
        return complain(BadRequest("The input ended where an answer was asked for."), as_json="--json" in arguments)
    return code if isinstance(code, int) else 0


@cache
def _command(name: str) -> Callable[..., object]:
    return typer.main.get_command(build(name)).main


def build(only: str = "") -> typer.Typer:
    """Return the application with every command, or with the one of that name alone where there is one.

    All of them take longer to make than most of them to work.
    """
    app = typer.Typer(
        name="trm",
        help=_ABOUT,
        callback=_group,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    every = {**_COMMANDS, **_GROUPS}
    for name in [only] if only in every else every:
        if name in _GROUPS:
            app.add_typer(_GROUPS[name](), name=name)
        else:
            app.command(name)(_COMMANDS[name])
    return app


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"trm {version('trm-broker')}")
        raise typer.Exit


_VERSION = typer.Option("--version", is_eager=True, callback=_show_version, help="Say which version this is, and end.")


def _group(_: Annotated[bool, _VERSION] = False) -> None:
    """Let a command that stands alone keep its name."""
