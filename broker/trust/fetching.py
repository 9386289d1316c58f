# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where a trust list's files come from: HTTPS, a directory, or one offline bundle; sizes and time are bounded.

None of these is believed: whoever serves the files can at most withhold them, and is noticed when they run out.
"""

from __future__ import annotations

import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from broker.certificates.servers import server_context
from broker.core.errors import SettingsInvalid
from broker.plain_files import open_plain
from broker.trust.layout import MAX_DOCUMENT
from broker.trust.offline import unpack
from broker.trust.tuf_faults import CertificateRefused

__all__ = ["BundleSource", "FolderSource", "HttpSource", "Source", "source_of"]

_CHUNK = 64 * 1024  # bytes
_ANSWER_SECONDS = 10.0  # until the next bytes come
_WHOLE_SECONDS = 120.0  # for everything that one refresh reads
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%-]*", re.ASCII)


class Source(FetcherInterface):
    """Gives the files below one place; every name is relative to it."""

    base = "trust-list:/"  # what the names begin with; no place on the network

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[Any]]:
        """Never read more than any file of a list may have: the signed length may be a thief's."""
        with super().download_file(url, min(max_length, MAX_DOCUMENT)) as file:
            yield file

    def begin(self) -> None:
        """A refresh begins."""

    def _path(self, url: str) -> tuple[str, ...]:
        """Return the parts of a name; none leads out of the place."""
        parts = tuple(unquote(part) for part in url.removeprefix(self.base + "/").split("/"))
        if not all(map(_PART.fullmatch, parts)):
            raise DownloadHTTPError("no such name", 404)
        return parts


class FolderSource(Source):
    """A directory: of this machine, or of a stick."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        file = self._folder.joinpath(*self._path(url))
        try:
            with open_plain(file) as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
        except (FileNotFoundError, NotADirectoryError):
            if not self._folder.is_dir():
                raise DownloadError("the folder is not there") from None
            raise DownloadHTTPError("no such file", 404) from None
        except OSError as error:  # a stick pulled out while it is read, or rights that were taken away
            raise DownloadError(f"the folder cannot be read ({type(error).__name__})") from None


class BundleSource(Source):
    """One offline bundle file, read anew for each refresh."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._files: dict[str, bytes] | None = None

    def begin(self) -> None:
        """Read the file again: a newer one may lie there.

        Raises:
            TrustListInvalid: it cannot be read or is hostile.
        """
        self._files = unpack(self._file)

    def _fetch(self, url: str) -> Iterator[bytes]:
        raw = (self._files or {}).get("/".join(self._path(url)))
        if raw is None:
            raise DownloadHTTPError("no such file", 404)
        yield raw


class HttpSource(Source):
    """A web server."""

    def __init__(self, url: str, *, seconds: float = _WHOLE_SECONDS) -> None:
        """Args:
        url: of the repository; https, or http on this machine.
        seconds: for everything that one refresh reads.

        Raises:
            SettingsInvalid: it is neither.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise SettingsInvalid("A trust list is fetched by https only.", where="trust.source")
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._until = 0.0

    def begin(self) -> None:
        """Start the clock."""
        self._until = time.monotonic() + self._seconds

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(urllib.request.HTTPSHandler(context=server_context()), _NoRedirect())

    def _fetch(self, url: str) -> Iterator[bytes]:
        request = urllib.request.Request("/".join((self._url, *self._path(url))))  # noqa: S310  its scheme was checked
        try:
            with self._opener.open(request, timeout=self._patience()) as answer:
                while chunk := answer.read1(_CHUNK):
                    yield chunk
                    self._patience()
        except urllib.error.HTTPError as error:
            error.close()
            raise DownloadHTTPError("the server refused", error.code) from None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.URLError) and isinstance(error.reason, ssl.SSLCertVerificationError):
                raise CertificateRefused from None
            raise DownloadError(f"the server does not answer ({type(error).__name__})") from None

    def _patience(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise SlowRetrievalError("the server is too slow")
        return min(left, _ANSWER_SECONDS)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow nobody: a redirect could lead to http, or into this network."""

    def redirect_request(self, *_: Any) -> None:
        return None


def source_of(place: str) -> Source:
    """Return the source of a setting: an https address, a directory or a bundle file.

    Raises:
        SettingsInvalid: an address that is neither https nor on this machine.
    """
    if "://" in place:
        return HttpSource(place)
    path = Path(place)
    return BundleSource(path) if path.suffix == ".zip" else FolderSource(path)
