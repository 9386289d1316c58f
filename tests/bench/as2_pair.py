# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The same work by an AS2 pair (pyas2lib; RSA-2048, AES-256, SHA-256, signed synchronous receipts).

Runs in an environment of its own (requirements/bench-as2.lock) and prints one JSON line with two measurements:

- ``protocol``: sign, encrypt, decrypt, verify, signed receipt, verify the receipt, in one thread; nothing is stored
  and nothing is sent. Processor milliseconds per message.
- ``whole``: what every AS2 product does besides. Two pairs of processes; the sender commits each message to an SQLite
  table before it posts it over a kept-alive loopback HTTP connection; the receiver commits message and receipt in one
  transaction before it answers with the receipt; the sender verifies that and commits it. All commits are synchronous
  (WAL, ``synchronous = FULL``), as ours are. Messages per second of both pairs, and processor milliseconds per message.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import resource
import sqlite3
import sys
import tempfile
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from multiprocessing.connection import Connection
from pathlib import Path
from socketserver import TCPServer
from typing import Any

_SEARCH = re.search


def _search(pattern: Any, text: Any, flags: int = 0) -> Any:
    """Read two-digit patch versions of OpenSSL: oscrypto 1.3.0 stops at 3.0.19 because it expects one digit."""
    return _SEARCH(
        pattern.replace(r"\d\.\d\.\d[a-z]*", r"\d\.\d\.\d+[a-z]*") if isinstance(pattern, str) else pattern, text, flags
    )


re.search = _search  # type: ignore[assignment]
from pyas2lib import as2  # noqa: E402

re.search = _SEARCH  # type: ignore[assignment]

PAIRS = 2  # one for each core
RUNS = 4  # the best one counts: what else the machine does can only add
STOP = "/stop"


def _identity(name: str) -> tuple[bytes, bytes]:
    """Return a fresh RSA-2048 key and self-signed certificate, as PKCS#12 and PEM."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import pkcs12

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(b"bench")
    )
    bundle = pkcs12.serialize_key_and_certificates(name.encode(), key, certificate, None, encryption)
    return bundle, certificate.public_bytes(serialization.Encoding.PEM)


def _sides() -> tuple[Any, Any, Any, Any]:
    keys = {name: _identity(name) for name in ("ee", "fi")}
    organisations = {
        name: as2.Organization(
            as2_name=name,
            sign_key=keys[name][0],
            sign_key_pass="bench",
            decrypt_key=keys[name][0],
            decrypt_key_pass="bench",
        )
        for name in keys
    }
    partners = {
        name: as2.Partner(
            as2_name=name,
            verify_cert=keys[name][1],
            encrypt_cert=keys[name][1],
            validate_certs=False,
            sign=True,
            digest_alg="sha256",
            encrypt=True,
            enc_alg="aes_256_cbc",
            mdn_mode="SYNC",
            mdn_digest_alg="sha256",
        )
        for name in keys
    }
    return organisations["ee"], partners["fi"], organisations["fi"], partners["ee"]


class Kept:
    """A table of what was sent or received, committed to the disk row by row."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS kept (id TEXT, kind TEXT, raw BLOB, PRIMARY KEY (id, kind))"
        )

    def keep(self, identity: str, **raw: bytes) -> None:
        """Commit one or several things of a message in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        for kind, value in raw.items():
            self._connection.execute("INSERT INTO kept VALUES (?, ?, ?)", (identity, kind, value))
        self._connection.execute("COMMIT")


def _built(organisation: Any, partner: Any, body: bytes) -> Any:
    message = as2.Message(organisation, partner)
    message.build(body, filename="message.json", subject="bench", content_type="application/json")
    return message


def _answered(raw: bytes, organisation: Any, partner: Any) -> tuple[str, bytes]:
    """Decrypt and verify a message and return its id with the signed receipt."""
    message = as2.Message()
    status, _, mdn = message.parse(raw, lambda _: organisation, lambda _: partner, lambda *_: False)
    if status != "processed":
        raise SystemExit("the AS2 message was not taken")
    return str(message.message_id), mdn.headers_str + b"\r\n" + mdn.content


def _check(receipt: bytes, message: Any) -> None:
    status, _ = as2.Mdn().parse(receipt, lambda *_: message)
    if status != "processed":
        raise SystemExit(f"the AS2 receipt says {status}")


def _protocol(count: int, body: bytes) -> float:
    """Return the processor milliseconds of one message with its receipt."""
    ours, them, theirs, us = _sides()

    def exchange() -> None:
        message = _built(ours, them, body)
        _check(_answered(message.headers_str + b"\r\n" + message.content, theirs, us)[1], message)

    exchange()
    means = []
    for _ in range(RUNS):
        started = time.process_time()
        for _ in range(max(count // RUNS, 1)):
            exchange()
        means.append(1000 * (time.process_time() - started) / max(count // RUNS, 1))
    return min(means)


def _receiver(port: Connection, file: Path, organisation: Any, partner: Any) -> None:
    kept = Kept(file)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # answer in one write

        def do_POST(self) -> None:
            if self.path == STOP:
                self.close_connection = True
                raise SystemExit
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            message, receipt = _answered(raw, organisation, partner)
            kept.keep(message, message=raw, receipt=receipt)
            self.send_response(200)
            self.send_header("Content-Length", str(len(receipt)))
            self.end_headers()
            self.wfile.write(receipt)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = TCPServer(("127.0.0.1", 0), Handler)  # http.server's own would ask for this machine's name
    port.send(server.server_address[1])
    server.serve_forever()


def _pair(folder: Path, count: int, body: bytes, results: Any) -> None:
    ours, them, theirs, us = _sides()
    here, there = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=_receiver, args=(there, folder / "receiver.db", theirs, us))
    receiver.start()
    connection, kept = HTTPConnection("127.0.0.1", here.recv()), Kept(folder / "sender.db")

    def exchange() -> None:
        message = _built(ours, them, body)
        raw = message.headers_str + b"\r\n" + message.content
        kept.keep(message.message_id, message=raw)
        connection.request("POST", "/as2", raw)
        receipt = connection.getresponse().read()
        _check(receipt, message)
        kept.keep(message.message_id, receipt=receipt)

    exchange()  # warm up
    started, used = time.perf_counter(), time.process_time()
    for _ in range(count):
        exchange()
    ended, used = time.perf_counter(), time.process_time() - used
    connection.request("POST", STOP, b"")
    receiver.join()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)  # with the receiver's start: little against its messages
    results.put((started, ended, used + spent.ru_utime + spent.ru_stime))


def _whole(folder: Path, count: int, body: bytes) -> dict[str, float]:
    """Return the rate of all pairs together and the processor milliseconds of one message, in one run."""
    results: Any = multiprocessing.Queue()
    pairs = []
    for number in range(PAIRS):
        own = folder / str(number)
        own.mkdir(parents=True)
        pairs.append(multiprocessing.Process(target=_pair, args=(own, count, body, results)))
    for pair in pairs:
        pair.start()
    spans = [results.get(timeout=600) for _ in pairs]
    for pair in pairs:
        pair.join()
    seconds = max(span[1] for span in spans) - min(span[0] for span in spans)
    sent = PAIRS * count
    return {"rate": sent / seconds, "cpu_ms": 1000 * sum(span[2] for span in spans) / sent}


def main() -> None:
    """Measure and print one JSON line."""
    count, size = int(sys.argv[1]), int(sys.argv[2])
    body = b'{"x": "' + b"a" * (size - 9) + b'"}'
    with tempfile.TemporaryDirectory(prefix="trm-bench-as2-") as folder:
        runs = [_whole(Path(folder, str(run)), max(count // RUNS, 1), body) for run in range(RUNS)]
        whole = {"rate": max(run["rate"] for run in runs), "cpu_ms": min(run["cpu_ms"] for run in runs)}
        measured = {"protocol": {"cpu_ms": _protocol(count, body)}, "whole": whole}
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
