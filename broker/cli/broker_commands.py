# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm broker definitions | apply`: what stands on the message broker, and who may use it, by the trust list."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from broker.cli import output
from broker.core.errors import BadRequest
from broker.core.ids import CountryCode
from broker.core.trust import TrustList
from broker.durable import write_durably
from broker.settings import Settings
from broker.transport.management import Management, ManagementAddress, difference
from broker.transport.management import apply as apply_to
from broker.transport.rights import Membership, Plan, membership
from broker.transport.topology import VHOST
from broker.transport.topology import definitions as topology
from broker.trust.opening import trust_in_force

__all__ = ["apply", "definitions", "trust_of"]


def definitions(countries: Sequence[str], *, home: Path | None, out: Path | None, as_json: bool) -> None:
    """Write the definitions file of these countries, or of the home's trust list.

    Raises:
        BadRequest: no countries, or a text that is not one.
        NodeError: settings or trust list cannot be read.
    """
    members = _members(countries, home)
    text = json.dumps(topology(members.active, suspended=members.suspended), indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    write_durably(out, text.encode("ascii"), mode=0o644)  # no secret is in it, and RabbitMQ reads it at every start
    document = {"file": str(out), "members": members.active, "suspended": members.suspended}

    def people() -> None:
        say = output.console().print
        say(f"{out} describes exchanges, queues, users and permissions of {', '.join(members.active)}.")
        say(f"Next: rabbitmqctl import_definitions {output.word(out)}, then sign each country's certificate request:")
        say("  trm broker certificate issue")
        say("Importing takes nothing away. On a broker that ran before, 'trm broker apply' does.")
        for country in members.suspended:
            say(f"  {country} is suspended: rabbitmqctl delete_user {country}")

    output.answer(document, as_json=as_json, people=people)


def apply(
    home: Path, *, url: str, user: str, password_file: Path, authority: Path | None, dry: bool, as_json: bool
) -> None:
    """Make a running broker as the home's trust list says.

    Raises:
        BadRequest: by that list nobody may connect.
        NodeError: settings, trust list or management API cannot be used.
    """
    members = membership(trust_of(home))
    password = password_file.read_text("utf-8").rstrip("\r\n")
    api = Management(ManagementAddress(url=url, user=user, password=password, authority=authority))
    work = difference if dry else apply_to
    change = work(api, members, vhost=VHOST)
    document = {
        "changed": not dry and not change.empty,
        "members": members.active,
        "suspended": members.suspended,
        "users_added": change.users_to_add,
        "users_deleted": change.users_to_delete,
        "permissions_mended": change.permissions_to_mend,
        "permissions_deleted": [f"{host}/{name}" for host, name in change.permissions_to_delete],
        "commands": change.commands(VHOST),
    }
    output.answer(document, as_json=as_json, people=lambda: _tell(change, dry=dry))


def trust_of(home: Path) -> TrustList:
    """Return the trust list of a home.

    Raises:
        NodeError: settings or trust list cannot be read.
    """
    return trust_in_force(Settings.load(home))


def _tell(change: Plan, *, dry: bool) -> None:
    say = output.console().print
    if change.empty:
        say("The broker is as the trust list says; its queues were checked against the definitions.")
        return
    lines = {
        "lose their user, and with it every connection": change.users_to_delete,
        "get a user": change.users_to_add,
        "get exactly a country's rights": change.permissions_to_mend,
        "lose rights on another virtual host": tuple(user for _, user in change.permissions_to_delete),
    }
    for what, users in lines.items():
        if users:
            say(f"{', '.join(users)} {what}.")
    if dry:
        say("Nothing was changed. The same by hand:")
        for command in change.commands(VHOST):
            say(f"  {command}")


def _members(countries: Sequence[str], home: Path | None) -> Membership:
    if countries:
        return Membership(active=tuple(sorted({_country(text) for text in countries})))
    if home is None:
        raise BadRequest("Name the member countries, or a home whose trust list names them.", where="--home")
    return membership(trust_of(home))


def _country(text: str) -> CountryCode:
    try:
        return CountryCode(text)
    except ValueError:
        raise BadRequest("A country is given as ISO 3166-1 alpha-2, e.g. EE.", where="COUNTRY") from None
