# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm init`, `serve`, `demo`, `doctor`, `token`, `vectors`: names, options and help of what a node's operator runs."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson, AsOffice, Home

__all__ = ["demo", "doctor", "init", "serve", "token", "vectors"]


def init(
    country: Annotated[str, typer.Argument(help="The country, as ISO 3166-1 alpha-2, e.g. EE.")],
    home: Home,
    authority: Annotated[
        list[str] | None,
        typer.Option("--authority", help="An office that uses this node, as ID=NAME; may be repeated."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file",
            help="Where the vault's passphrase is, of at least 15 characters; made if missing. Default: ask.",
        ),
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
    minutes: Annotated[
        int,
        typer.Option(
            "--minutes", min=1, max=90 * 1440, help="How long it is valid: 12 hours at most; for system, 90 days."
        ),
    ] = 60,
    as_json: AsJson = False,
) -> None:
    """Issue an access token for the node's API.

    The node's own issuer signs it. A token is a secret: whoever holds it acts for that office until it ends. Others on
    the machine see what programs are called with, so give it to curl by a file, as below. An admin or auditor of the
    authority 'node' speaks for the whole installation; a system of it reads metrics alone.

    \b
    Examples:
      curl -H @<(echo "Authorization: Bearer $(trm token --home ./ee --role officer)") http://127.0.0.1:8350/api/v1/messages
      trm token --home ./ee --role admin --authority node
      trm token --home ./ee --role system --subject case-system --minutes 129600 > case-system.token
      trm token --home ./ee --role system --authority node --subject prometheus --minutes 129600 > metrics.token
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
