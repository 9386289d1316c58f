# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Access to the management API: where the password may go, and what is told when it does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from broker.core.errors import BadRequest, SettingsInvalid, TransportUnavailable
from broker.core.ids import CountryCode
from broker.testing.rabbitmq_private import free_ports
from broker.transport.management import Management, ManagementAddress, apply
from broker.transport.rights import Membership


def _api(url: str) -> Management:
    return Management(ManagementAddress(url=url, user="operator", password="secret"))


@pytest.fixture
def answers() -> Iterator[dict[str, Any]]:
    """Serve one answer to everything, but where a path has its own."""
    given: dict[str, Any] = {"status": 200, "body": b"[]", "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given["asked"].append((self.command, self.path))
            body = given.get(self.path, given["body"])
            self.send_response(given["status"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_DELETE = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        given["url"] = f"http://127.0.0.1:{server.server_port}"
        yield given
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("url", ["http://broker.example:15672", "ftp://localhost", "broker", "https://a:b@host"])
def test_the_password_never_travels_in_clear(url: str) -> None:
    """Without TLS only this machine is spoken to, and an address names no user."""
    with pytest.raises(SettingsInvalid):
        _api(url)
    assert "secret" not in repr(ManagementAddress(url=url, user="operator", password="secret"))


@pytest.mark.parametrize(("status", "body"), [(401, b""), (500, b"x"), (404, b""), (200, b"not json")])
def test_what_is_no_answer_is_one_error(answers: dict[str, Any], status: int, body: bytes) -> None:
    """Refusals and foreign answers carry the place asked, never the answer's text."""
    answers.update(status=status, body=body)
    with pytest.raises(TransportUnavailable) as failed:
        _api(answers["url"]).call("GET", "/api/users")
    assert failed.value.where == "/api/users"


def test_deleting_what_is_gone_is_done(answers: dict[str, Any]) -> None:
    """Somebody else was faster."""
    answers.update(status=404, body=b"")
    assert _api(answers["url"]).call("DELETE", "/api/users/EE") is None


def test_nobody_there_is_told() -> None:
    """No server, no answer."""
    (port,) = free_ports(1)
    with pytest.raises(TransportUnavailable):
        _api(f"http://127.0.0.1:{port}").call("GET", "/api/users")


def test_an_empty_list_deletes_nobody(answers: dict[str, Any]) -> None:
    """By mistake everybody would lose access: nothing is asked or changed."""
    with pytest.raises(BadRequest):
        apply(_api(answers["url"]), Membership(active=(), suspended=(CountryCode("EE"),)), vhost="trm")
    assert answers["asked"] == []


@pytest.mark.parametrize(
    ("partitions", "told"),
    [(([], []), None), ((["rabbit@b"], []), "rabbit@b"), (([], ["rabbit@a"]), "rabbit@b")],
)
def test_what_does_not_hold_in_the_whole_cluster_is_told(
    answers: dict[str, Any], partitions: tuple[list[str], list[str]], told: str | None
) -> None:
    """All is done where it can be; a node that merely does not run learns it when it comes, one cut off lets others in."""
    names = ("rabbit@a", "rabbit@b")
    nodes = [
        {"name": name, "running": name == "rabbit@a", "partitions": cut}
        for name, cut in zip(names, partitions, strict=True)
    ]
    answers["/api/nodes"] = json.dumps(nodes).encode()
    with nullcontext() if told is None else pytest.raises(TransportUnavailable, match=f"cut in two.*{told}: restart"):
        apply(_api(answers["url"]), Membership(active=(CountryCode("EE"),)), vhost="trm")
    assert ("POST", "/api/definitions") in answers["asked"]


@pytest.mark.parametrize("raw", [None, b"no certificate"])
def test_an_authority_that_cannot_be_read_is_told(tmp_path: Path, raw: bytes | None) -> None:
    """Missing or none at all: the person is told which option is wrong."""
    if raw is not None:
        (tmp_path / "ca.pem").write_bytes(raw)
    address = ManagementAddress(
        url="https://localhost:1", user="operator", password="secret", authority=tmp_path / "ca.pem"
    )
    with pytest.raises(SettingsInvalid) as refused:
        Management(address).call("GET", "/api/users")
    assert refused.value.where == "--authority"
