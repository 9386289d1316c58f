# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a running broker lacks or has too much by the trust list, as a value."""

from __future__ import annotations

from typing import Any

from broker.core.ids import CountryCode
from broker.core.trust import Member, MemberKind, MemberStatus, TrustList
from broker.transport.rights import Membership, Plan, membership, plan
from broker.transport.topology import permissions

EE, FI, SE, NO = (CountryCode(name) for name in ("EE", "FI", "SE", "NO"))


def right(user: str, vhost: str = "trm", **more: str) -> dict[str, Any]:
    """A permission as the management API gives it."""
    if user.isupper():
        own = permissions(CountryCode(user))
        more = {"configure": own.configure, "write": own.write, "read": own.read, **more}
    return {"user": user, "vhost": vhost, **more}


def difference(members: Membership, users: list[str], rights: list[dict[str, Any]]) -> Plan:
    """The plan on the virtual host trm."""
    return plan(members, users=users, rights=rights, vhost="trm")


def test_who_may_connect_follows_kind_and_status() -> None:
    """Active states connect, suspended ones keep queues only, counterparts on paper have neither."""
    members = (
        Member(country=SE),
        Member(country=EE),
        Member(country=FI, status=MemberStatus.SUSPENDED),
        Member(country=NO, kind=MemberKind.PAPER),
    )
    trust = TrustList(version=1, members={member.country: member for member in members})
    assert membership(trust) == Membership(active=(EE, SE), suspended=(FI,))


def test_a_broker_as_it_should_be_needs_nothing() -> None:
    """Nothing changes, and operators' users and rights are none of ours."""
    found = difference(Membership(active=(EE,)), ["EE", "operator"], [right("EE"), right("operator", configure=".*")])
    assert found.empty
    assert found.commands("trm") == ()


def test_countries_without_place_lose_their_user() -> None:
    """Suspended, on paper and no longer listed are alike; who is named like no country stays."""
    members = Membership(active=(EE,), suspended=(FI,))
    found = difference(members, ["EE", "FI", "SE", "guest"], [right("EE"), right("FI"), right("SE")])
    assert found == Plan(
        users_to_add=(), users_to_delete=("FI", "SE"), permissions_to_mend=(), permissions_to_delete=()
    )
    assert found.commands("trm") == ("rabbitmqctl delete_user FI", "rabbitmqctl delete_user SE")


def test_missing_and_widened_rights_are_mended() -> None:
    """A new member gets a user; none, other and further rights are set back to exactly a country's."""
    members = Membership(active=(EE, FI, SE, NO))
    rights = [right("FI", write=".*"), right("SE"), right("SE", vhost="/")]
    found = difference(members, ["EE", "FI", "SE"], rights)
    assert found == Plan(
        users_to_add=("NO",),
        users_to_delete=(),
        permissions_to_mend=("EE", "FI"),
        permissions_to_delete=(("/", "SE"),),
    )
    assert found.commands("trm")[0] == "rabbitmqctl clear_permissions -p / SE"
    assert "rabbitmqctl set_permissions -p trm FI '^$' '^trm$' '^trm\\.(in|chunk|dead)\\.FI$'" in found.commands("trm")
