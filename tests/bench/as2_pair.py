# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The same work by an AS2 pair: sign, encrypt, send, decrypt, verify, signed receipt, verify the receipt.

Runs in an environment of its own (requirements/bench-as2.lock) and prints one JSON line. Two pairs run side by side so
that both cores are used; sender and receiver are processes joined by a pipe. Nothing is stored and no HTTP is spoken:
what this pair leaves out, the node does.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
import time
from multiprocessing.connection import Connection
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


def _receiver(pipe: Connection, organisation: Any, partner: Any) -> None:
    while (raw := pipe.recv_bytes()) != b"stop":
        message = as2.Message()
        _, _, mdn = message.parse(raw, lambda _: organisation, lambda _: partner, lambda *_: False)
        pipe.send_bytes(mdn.headers_str + b"\r\n" + mdn.content)


def _pair(count: int, body: bytes, results: Any) -> None:
    ours, them, theirs, us = _sides()
    here, there = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=_receiver, args=(there, theirs, us))
    receiver.start()
    _exchange(here, ours, them, body)  # warm up
    started = time.perf_counter()
    for _ in range(count):
        _exchange(here, ours, them, body)
    results.put((started, time.perf_counter()))
    here.send_bytes(b"stop")
    receiver.join()


def _exchange(pipe: Connection, organisation: Any, partner: Any, body: bytes) -> None:
    message = as2.Message(organisation, partner)
    message.build(body, filename="message.json", subject="bench", content_type="application/json")
    pipe.send_bytes(message.headers_str + b"\r\n" + message.content)
    status, _ = as2.Mdn().parse(pipe.recv_bytes(), lambda *_: message)
    if status != "processed":
        raise SystemExit(f"the AS2 receipt says {status}")


def main() -> None:
    """Exchange messages in two pairs and print the rate."""
    count, size = int(sys.argv[1]), int(sys.argv[2])
    results: Any = multiprocessing.Queue()
    body = b'{"x": "' + b"a" * (size - 9) + b'"}'
    pairs = [multiprocessing.Process(target=_pair, args=(count, body, results)) for _ in range(2)]
    for pair in pairs:
        pair.start()
    spans = [results.get(timeout=600) for _ in pairs]
    for pair in pairs:
        pair.join()
    seconds = max(end for _, end in spans) - min(start for start, _ in spans)
    sys.stdout.write(json.dumps({"messages": 2 * count, "seconds": seconds, "rate": 2 * count / seconds}) + "\n")


if __name__ == "__main__":
    main()
