# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The names, options and help of `trm broker …`; the work stands in modules that are imported only when it is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson

__all__ = ["broker_commands"]

Home = Annotated[Path, typer.Option("--home", envvar="TRM_HOME", readable=False, help="The node's home folder.")]
ListHome = Annotated[
    Path,
    typer.Option(
        "--home", envvar="TRM_HOME", readable=False, help="The home folder whose trust list says who is a member."
    ),
]
Ca = Annotated[Path, typer.Option("--ca", help="The certificate authority's folder.")]
Passphrase = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file", help="Where the authority's passphrase is: a file, fd:N, credential:NAME or prompt."
    ),
]


def broker_commands() -> typer.Typer:
    """Return the commands for the message broker."""
    app = _group("Prepare the message broker: what stands on it, who may use it, and certificates.")
    app.command()(definitions)
    app.command()(apply)
    ca, certificate = _group("The certificate authority of the message broker."), _group("Certificates to log in by.")
    ca.command("init")(ca_init)
    ca.command("show")(ca_show)
    for command in (request, issue, host, install, show, revoke):
        certificate.command()(command)
    app.add_typer(ca, name="ca")
    app.add_typer(certificate, name="certificate")
    return app


def _group(about: str) -> typer.Typer:
    return typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)


def definitions(
    countries: Annotated[
        list[str] | None, typer.Argument(help="The member countries. Default: those in the home's trust list.")
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option("--home", envvar="TRM_HOME", readable=False, help="Take the members from this home's trust list."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the file here (readable by you alone) instead of to the terminal."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write RabbitMQ's definitions file.

    Exchanges, queues, users and permissions of every member, as JSON. Users have no password: they log in by
    certificate. A suspended member keeps its queues and gets no user. Importing the file takes nothing away from a
    broker that ran before; 'trm broker apply' does.

    \b
    Examples:
      trm broker definitions EE FI SE
      trm broker definitions --home ./ee --out definitions.json
    """
    from broker.cli.broker_commands import definitions as work

    work(countries or [], home=home, out=out, as_json=as_json)


def apply(
    home: ListHome,
    user: Annotated[str, typer.Option("--user", help="An administrator of RabbitMQ.")],
    password_file: Annotated[Path, typer.Option("--password-file", help="File with the administrator's password.")],
    url: Annotated[
        str, typer.Option("--url", help="The management API; without TLS on this machine only.")
    ] = "http://127.0.0.1:15672",
    authority: Annotated[
        Path | None, typer.Option("--authority", help="Certificate authority (PEM) of the management API.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say what would change, also as rabbitmqctl commands.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a running RabbitMQ as the trust list says.

    A member that is suspended, on paper or no longer listed loses its user and every open connection at once; its
    queues and what waits in them stay. Members that came get queues, a user and exactly their rights. Repeating it
    changes nothing: let a timer run it every few minutes.

    \b
    Example:
      trm broker apply --home ./ee --user operator --password-file ./operator.pass
    """
    from broker.cli.broker_commands import apply as work

    work(home, url=url, user=user, password_file=password_file, authority=authority, dry=dry_run, as_json=as_json)


def ca_init(
    folder: Annotated[Path, typer.Argument(help="A folder for it, away from the broker and backed up.")],
    name: Annotated[str, typer.Option("--name", help="What it is called in certificates.")] = "TRM broker authority",
    passphrase: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Make the broker's certificate authority.

    Its key is encrypted under a passphrase of at least 16 characters; a passphrase file that is missing is made. It
    signs certificates of countries and of the broker itself, and the list of those revoked.

    \b
    Example:
      trm broker ca init ./broker-ca --passphrase-file ./broker-ca.pass
    """
    from broker.cli.certificate_commands import ca_init as work

    work(folder, name=name, passphrase=passphrase, as_json=as_json)


def ca_show(
    folder: Annotated[Path, typer.Argument(help="The authority's folder.")],
    passphrase: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Show the authority's fingerprint and everything it issued.

    \b
    Example:
      trm broker ca show ./broker-ca --passphrase-file ./broker-ca.pass
    """
    from broker.cli.certificate_commands import ca_show as work

    work(folder, passphrase=passphrase, as_json=as_json)


def request(
    home: Home,
    out: Annotated[Path | None, typer.Option("--out", help="Write the request here. Default: beside the key.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask for this node's certificate.

    Makes a new key, which stays in the home readable by this user alone, and a request signed with the node's own
    keys, so that the operator knows by the trust list whose it is. Asking twice asks for the same key.

    \b
    Example:
      trm broker certificate request --home ./ee --out ee-request.json
    """
    from broker.cli.certificate_commands import request as work

    work(home, out=out, as_json=as_json)


def issue(
    file: Annotated[Path, typer.Argument(help="A country's request.")],
    home: ListHome,
    ca: Ca,
    passphrase: Passphrase = None,
    out: Annotated[Path | None, typer.Option("--out", help="Default: CC-broker.pem beside the request.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=398, help="How long it is valid.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Issue a country's certificate.

    The request must carry both signatures of an active member by the home's trust list.

    \b
    Example:
      trm broker certificate issue ee-request.json --ca ./broker-ca --home ./ee --out ee.pem
    """
    from broker.cli.certificate_commands import issue as work

    work(file, home=home, ca=ca, passphrase=passphrase, out=out, days=days, as_json=as_json)


def host(
    hosts: Annotated[list[str], typer.Argument(help="Names or addresses that the nodes connect to.")],
    ca: Ca,
    out: Annotated[Path, typer.Option("--out", help="A folder that RabbitMQ reads, e.g. /etc/rabbitmq/tls.")],
    passphrase: Passphrase = None,
    days: Annotated[int, typer.Option("--days", min=1, max=398, help="How long it is valid.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Issue the broker's own certificate.

    Writes key, certificate, authority and revocation list under the names that the shipped configuration reads.

    \b
    Example:
      trm broker certificate host broker.example --ca ./broker-ca --out /etc/rabbitmq/tls
    """
    from broker.cli.certificate_commands import host as work

    work(hosts, ca=ca, passphrase=passphrase, out=out, days=days, as_json=as_json)


def install(
    file: Annotated[Path, typer.Argument(help="The certificate and its authority (PEM).")],
    home: Home,
    key: Annotated[Path | None, typer.Option("--key", help="A private key brought along, without passphrase.")] = None,
    authority: Annotated[
        str | None,
        typer.Option(
            "--authority", help="The authority's words or fingerprint as its operator read them out; needed once."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a certificate in force.

    Checks key, name, use, validity and chain first; what does not fit changes nothing. A running node goes over to it
    by itself, without losing a message.

    \b
    Example:
      trm broker certificate install ee.pem --home ./ee --authority "together mail awful …"
    """
    from broker.cli.certificate_commands import install as work

    work(file, home=home, key=key, believed=authority, as_json=as_json)


def show(home: Home, as_json: AsJson = False) -> None:
    """Show the certificate in force and how long it lasts.

    \b
    Example:
      trm broker certificate show --home ./ee
    """
    from broker.cli.certificate_commands import show as work

    work(home, as_json=as_json)


def revoke(
    country: Annotated[str, typer.Argument(help="The country whose certificates end.")],
    ca: Ca,
    serial: Annotated[
        str | None, typer.Option("--serial", help="Only this one, as 'trm broker ca show' lists it.")
    ] = None,
    passphrase: Passphrase = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the list for RabbitMQ, e.g. into /etc/rabbitmq/tls.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a country's certificates at once.

    For a key that was lost or copied. The country may then ask for a new one.

    \b
    Example:
      trm broker certificate revoke EE --ca ./broker-ca --out /etc/rabbitmq/tls
    """
    from broker.cli.certificate_commands import revoke as work

    work(country, serial=serial, ca=ca, passphrase=passphrase, out=out, as_json=as_json)
