# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm broker …`: what the operator of the message broker needs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from broker.cli import output
from broker.core.errors import BadRequest
from broker.core.ids import CountryCode
from broker.core.trust import MemberKind, MemberStatus
from broker.durable import write_durably
from broker.settings import Settings
from broker.transport.topology import definitions as topology
from broker.trust_source import read_trust_list

__all__ = ["definitions"]


def definitions(countries: Sequence[str], *, home: Path | None, out: Path | None, as_json: bool) -> None:
    """Write the definitions file of these countries, or of the home's trust list.

    Raises:
        BadRequest: no countries, or a text that is not one.
        NodeError: settings or trust list cannot be read.
    """
    active, suspended = _members(countries, home)
    text = json.dumps(topology(active, suspended=suspended), indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    write_durably(out, text.encode("ascii"))
    document = {"file": str(out), "members": [str(country) for country in active], "suspended": [*map(str, suspended)]}

    def people() -> None:
        names = ", ".join(active)
        output.console().print(
            f"{out} describes exchanges, queues, users and permissions of {names}.\n"
            f"Next: rabbitmqctl import_definitions {out}, then give each user its certificate or password:\n"
            f"  rabbitmqctl change_password {active[0]} …"
        )

    output.answer(document, as_json=as_json, people=people)


def _members(countries: Sequence[str], home: Path | None) -> tuple[list[CountryCode], list[CountryCode]]:
    if countries:
        return [_country(text) for text in countries], []
    if home is None:
        raise BadRequest("Name the member countries, or a home whose trust list names them.", where="--home")
    trust = read_trust_list(Settings.load(home).trust_list)
    nodes = [member for member in trust.members.values() if member.kind is MemberKind.STATE]
    active = [member.country for member in nodes if member.status is MemberStatus.ACTIVE]
    return active, [member.country for member in nodes if member.status is not MemberStatus.ACTIVE]


def _country(text: str) -> CountryCode:
    try:
        return CountryCode(text)
    except ValueError:
        raise BadRequest("A country is given as ISO 3166-1 alpha-2, e.g. EE.", where="COUNTRY") from None
