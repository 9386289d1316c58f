# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about where a trust list's files come from."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from broker.certificates.authority import AUTHORITY_FILE, BrokerAuthority
from broker.core.errors import SettingsInvalid, TrustListInvalid
from broker.core.trust import Member
from broker.testing.trust import TrustOffice
from broker.trust.client import TrustClient
from broker.trust.fetching import BundleSource, FolderSource, HttpSource, Source, source_of
from broker.trust.offline import pack


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Hostile(BaseHTTPRequestHandler):
    """Answers with whatever the path asks for."""

    def do_GET(self) -> None:
        """Redirect, drip or fail."""
        if "redirect" in self.path:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            return
        if "broken" in self.path:
            self.send_error(500)
            return
        self.send_response(200)
        self.end_headers()
        for _ in range(50):
            try:
                self.wfile.write(b" ")
                self.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)  # on the server's own thread: slowness is what is tested

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(handler: Any, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on this machine; give the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def office(tmp_path: Path, ee: Member) -> TrustOffice:
    """A published federation."""
    today = datetime.now(UTC)
    made = TrustOffice.create(tmp_path / "trust", now=today)
    made.add(ee, now=today)
    made.publish(now=today)
    return made


def rule(source: Source, root: bytes) -> str:
    """Return the rule that reading breaks."""
    with pytest.raises(TrustListInvalid) as caught:
        TrustClient(source, root).fetch()
    return str(caught.value.rule)


def test_all_sources_give_the_same_list(office: TrustOffice, tmp_path: Path) -> None:
    """A server, a directory and a bundle hold the same federation."""
    pack(office.folder, tmp_path / "bundle.zip")
    with served(partial(Quiet, directory=str(office.folder))) as url:
        sources = [source_of(str(office.folder)), source_of(str(tmp_path / "bundle.zip")), source_of(url + "/")]
        assert [type(source) for source in sources] == [FolderSource, BundleSource, HttpSource]
        documents = [TrustClient(source, office.root).fetch().document for source in sources]
    assert documents[0] == documents[1] == documents[2]


@pytest.mark.parametrize("url", ["http://example.org/trust", "ftp://localhost/trust", "file:///etc", "http://[::2]/"])
def test_only_https_is_fetched_from_elsewhere(url: str) -> None:
    """Plain http is for tests on this machine."""
    with pytest.raises(SettingsInvalid):
        source_of(url)
    assert isinstance(source_of("https://example.org/trust"), HttpSource)


def test_a_certificate_that_nobody_vouches_for_is_told_as_one(
    office: TrustOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does answer: whoever looked for it on the network would look in vain. Once believed, it is read."""
    now = datetime.now(UTC)
    authority = BrokerAuthority.create(tmp_path / "ca", b"sixteen letters and more", name="Test authority", now=now)
    (tmp_path / "server.pem").write_bytes(authority.issue_broker(["127.0.0.1"], now=now, days=1).pem())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    with served(partial(Quiet, directory=str(office.folder)), tls) as url:
        with pytest.raises(TrustListInvalid, match="certificate") as caught:
            TrustClient(source_of(url), office.root).fetch()
        assert str(caught.value.rule) == "unreachable"
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.folder / AUTHORITY_FILE))
        assert TrustClient(source_of(url), office.root).fetch().document


@pytest.mark.parametrize("path", ["redirect", "broken"])
def test_a_server_that_sends_elsewhere_or_fails_gives_nothing(office: TrustOffice, path: str) -> None:
    """A redirect is not followed, and an error is no list."""
    with served(Hostile) as url:
        assert rule(HttpSource(f"{url}/{path}"), office.root) == "unreachable"


def test_a_server_that_drips_is_given_up(office: TrustOffice) -> None:
    """Slow data ends at the time that one refresh may take."""
    with served(Hostile) as url:
        began = time.monotonic()
        assert rule(HttpSource(f"{url}/slow", seconds=0.3), office.root) == "unreachable"
        assert time.monotonic() - began < 2


def test_nobody_answers(office: TrustOffice, tmp_path: Path) -> None:
    """No server, no folder and no file are all told as unreachable."""
    assert rule(HttpSource("http://127.0.0.1:1"), office.root) == "unreachable"
    assert rule(FolderSource(tmp_path / "nowhere"), office.root) == "unreachable"
    assert rule(BundleSource(tmp_path / "nowhere.zip"), office.root) == "unreachable"


def test_a_name_that_leads_out_is_not_there(tmp_path: Path) -> None:
    """Whatever a signed list names, nothing outside of the place is read."""
    (tmp_path / "secret.json").write_text("{}")
    source = FolderSource(tmp_path / "inside")
    (tmp_path / "inside").mkdir()
    for name in ("../secret.json", "%2e%2e/secret.json", "a/../../secret.json", "/secret.json"):
        with pytest.raises(Exception, match="no such name"):
            source.download_bytes(f"{Source.base}/{name}", 100)


def test_a_folder_that_cannot_be_read_is_unreachable(office: TrustOffice) -> None:
    """A medium that fails is told like a server that does not answer, so that a person hears of it in time."""
    timestamp = office.folder / "metadata" / "timestamp.json"
    timestamp.unlink()
    timestamp.mkdir()
    assert rule(FolderSource(office.folder), office.root) == "unreachable"


def test_a_pipe_in_a_shared_folder_holds_nobody_up(office: TrustOffice) -> None:
    """A source that puts one in a file's place does not answer, and a node's look ends at once."""
    place = office.folder / "metadata" / "timestamp.json"
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(TrustListInvalid) as caught:
        TrustClient(FolderSource(office.folder), office.root).fetch()
    assert caught.value.rule == "unreachable"
