# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who may use the message broker by the trust list, and what must be taken away on a running broker to make it so.

Importing definitions only adds. A country that lost its place keeps its user until that is deleted, and deleting it is
the one step that also ends its open connections; permissions alone would leave those their cached rights. Queues and
what waits in them stay: a suspended country that comes back finds its messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.core.ids import CountryCode
from broker.core.trust import MemberKind, MemberStatus, TrustList
from broker.transport.topology import permissions

__all__ = ["Membership", "Plan", "membership", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The countries with queues, by whether they may connect; sorted."""

    active: tuple[CountryCode, ...]
    suspended: tuple[CountryCode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What has to change on a running broker."""

    users_to_add: tuple[str, ...]
    users_to_delete: tuple[str, ...]  # which ends their connections
    permissions_to_mend: tuple[str, ...]  # users whose rights are not exactly a country's
    permissions_to_delete: tuple[tuple[str, str], ...]  # (virtual host, user): rights elsewhere

    @property
    def empty(self) -> bool:
        """Whether the broker is already as the trust list says."""
        return self == Plan(users_to_add=(), users_to_delete=(), permissions_to_mend=(), permissions_to_delete=())

    def commands(self, vhost: str) -> tuple[str, ...]:
        """Return the same as commands of rabbitmqctl, for a site without the management API."""
        deleted = [f"rabbitmqctl delete_user {user}" for user in self.users_to_delete]
        cleared = [f"rabbitmqctl clear_permissions -p {host} {user}" for host, user in self.permissions_to_delete]
        users = sorted({*self.users_to_add, *self.permissions_to_mend})
        mended = [_setting(CountryCode(user), vhost) for user in users]
        added = [
            f'rabbitmqctl add_user {user} "$(openssl rand -hex 24)"; rabbitmqctl clear_password {user}'
            for user in self.users_to_add
        ]
        return tuple(deleted + cleared + added + mended)


def membership(trust: TrustList) -> Membership:
    """Return who has queues and who may connect: a counterpart on paper has neither."""
    nodes = [member for member in trust.members.values() if member.kind is MemberKind.STATE]
    active = [member.country for member in nodes if member.status is MemberStatus.ACTIVE]
    suspended = [member.country for member in nodes if member.status is not MemberStatus.ACTIVE]
    return Membership(active=tuple(sorted(active)), suspended=tuple(sorted(suspended)))


def plan(members: Membership, *, users: Sequence[str], rights: Iterable[Mapping[str, Any]], vhost: str) -> Plan:
    """Return the difference between a running broker and the trust list.

    Only users that are named like a country are ours to delete: operators have longer names.

    Args:
        members: who may connect.
        users: names of the broker's users.
        rights: its permissions on all virtual hosts, as the management API gives them.
        vhost: the virtual host of the federation.
    """
    ours = {user for user in users if _is_country(user)}
    wanted = set(map(str, members.active))
    held = {(right["vhost"], right["user"]): right for right in rights if right["user"] in ours & wanted}
    return Plan(
        users_to_add=tuple(sorted(wanted - ours)),
        users_to_delete=tuple(sorted(ours - wanted)),
        permissions_to_mend=tuple(sorted(u for u in ours & wanted if not _exact(held.get((vhost, u)), CountryCode(u)))),
        permissions_to_delete=tuple(sorted(place for place in held if place[0] != vhost)),
    )


def _is_country(user: str) -> bool:
    try:
        CountryCode(user)
    except ValueError:
        return False
    return True


def _exact(held: Mapping[str, Any] | None, country: CountryCode) -> bool:
    rights = permissions(country)
    return held is not None and (held["configure"], held["write"], held["read"]) == (
        rights.configure,
        rights.write,
        rights.read,
    )


def _setting(country: CountryCode, vhost: str) -> str:
    rights = permissions(country)
    return f"rabbitmqctl set_permissions -p {vhost} {country} '{rights.configure}' '{rights.write}' '{rights.read}'"
