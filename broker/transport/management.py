# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ's management API, as far as rights need it; and making a running broker as the trust list says."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from broker.certificates.servers import server_context
from broker.core.errors import BadRequest, SettingsInvalid, TransportUnavailable
from broker.transport.rights import Membership, Plan, plan
from broker.transport.topology import definitions

__all__ = ["Management", "ManagementAddress", "apply", "difference"]

_TIMEOUT_SECONDS = 30.0
_MAX_BYTES = 64 * 1024 * 1024

Call = Callable[[str, str, object], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementAddress:
    """Where the API is and who we are there."""

    url: str
    user: str
    password: str = field(repr=False)
    authority: Path | None = None  # of its certificate; None: those that the system believes


class Management:
    """One administrator's access."""

    def __init__(self, address: ManagementAddress) -> None:
        """Args:
        address: where and who; the password never travels in clear except to this very machine.

        Raises:
            SettingsInvalid: the address is none, or would send the password in clear.
        """
        parts = urlsplit(address.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise SettingsInvalid("The management API's address begins with https:// and names no user.", where="--url")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise SettingsInvalid("Without TLS the management API is used on this machine only.", where="--url")
        self._parts = parts
        self._address = address
        login = base64.b64encode(f"{address.user}:{address.password}".encode()).decode("ascii")
        self._headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the API and return its answer.

        Raises:
            TransportUnavailable: it does not answer, or refused.
            SettingsInvalid: the authority of its certificate cannot be read.
        """
        connection = self._connection()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._headers)
            answer = connection.getresponse()
            content = answer.read(_MAX_BYTES)
            if answer.status == HTTPStatus.UNAUTHORIZED:
                raise TransportUnavailable("The management API refuses this user or password.", where=path)
            if answer.status == HTTPStatus.NOT_FOUND and method == "DELETE":
                return None  # gone already: somebody else was faster
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise TransportUnavailable(f"The management API answered {answer.status}.", where=path)
            return json.loads(content) if content.strip() else None
        except ssl.SSLError:
            raise TransportUnavailable("The management API's certificate is not acceptable.", where=path) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise TransportUnavailable("The management API does not answer.", where=path) from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port or 15672, timeout=_TIMEOUT_SECONDS)
        try:
            context = server_context(self._address.authority)
        except OSError:
            raise SettingsInvalid(
                "The file holds no certificate authority that could be read.", where="--authority"
            ) from None
        return http.client.HTTPSConnection(host, port or 15671, timeout=_TIMEOUT_SECONDS, context=context)


def difference(api: Management, members: Membership, *, vhost: str) -> Plan:
    """Return what would change.

    Raises:
        TransportUnavailable: the API does not answer.
        BadRequest: nobody may connect by the list: rather a mistake than a wish.
    """
    if not members.active:
        raise BadRequest("By this list no country may connect; nothing is changed.")
    users = [user["name"] for user in api.call("GET", "/api/users")]
    return plan(members, users=users, rights=api.call("GET", "/api/permissions"), vhost=vhost)


def apply(api: Management, members: Membership, *, vhost: str) -> Plan:
    """Make the broker as the list says and return what was changed: first rights go, then what is missing comes.

    Raises:
        TransportUnavailable: the API does not answer; what was done stays done, and applying again does the rest. Or all
            was done, and holds in one part only of a cluster that is cut in two.
        BadRequest: nobody may connect by the list.
    """
    change = difference(api, members, vhost=vhost)
    for user in change.users_to_delete:
        api.call("DELETE", f"/api/users/{quote(user, safe='')}")
    for host, user in change.permissions_to_delete:
        api.call("DELETE", f"/api/permissions/{quote(host, safe='')}/{quote(user, safe='')}")
    wanted = definitions(members.active, suspended=members.suspended, vhost=vhost)
    # Users that are there keep their password, where they have one: the import would take it from them.
    wanted["users"] = [user for user in wanted["users"] if user["name"] in change.users_to_add]
    api.call("POST", "/api/definitions", wanted)
    _check_whole(api.call("GET", "/api/nodes"))
    return change


def _check_whole(nodes: Iterable[Mapping[str, Any]]) -> None:
    # A node that hung and went on keeps its own users, and lets in whom it knows, until it is restarted (3.10.8, 4.0.5).
    if any(node.get("partitions") for node in nodes):
        apart = ", ".join(str(node["name"]) for node in nodes if not node.get("running")) or "a part of it"
        raise TransportUnavailable(
            f"The message broker's cluster is cut in two, and what was changed does not hold at {apart}: restart that.",
            where="/api/nodes",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
