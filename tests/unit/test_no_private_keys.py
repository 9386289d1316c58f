# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""No private key lies in the repository, outside the plainly marked test vectors."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

ROOT = Path(__file__).parents[2]
_ALLOWED = ("tests/vectors/",)

# the patterns are put together so that this file does not hold what it looks for
_PEM = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE" + rb" KEY(?: BLOCK)?-----(?:\\n|\s)*[A-Za-z0-9+/]{32}")
_JWK = re.compile(rb'"(?:d|priv|seed|material|private|dp|dq|qi)"\s*:\s*"[A-Za-z0-9_-]{42,}"')
_OTHER = re.compile(
    rb"AGE-SECRET" + rb"-KEY-1|AKIA[0-9A-Z]{16}|PuTTY-User" + rb"-Key-File|openssh" + rb"-key-v1\0"
    rb"|trm" + rb"-vault\"\s*,\s*\"version\""
)  # fmt: skip
# what the DER of a private key begins with: PKCS#12 (version 3, a PKCS#7 inside) and PKCS#8 (version 0 or 1, an OID)
_DER = re.compile(
    rb"\A\x30(?:[\x00-\x7f]|\x81.|\x82..)(?:\x02\x01\x03\x30(?:[\x00-\x7f]|\x80|\x81.|\x82..)\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
    rb"|\x02\x01[\x00\x01]\x30(?:[\x00-\x7f]|\x81.)\x06)", re.DOTALL
)  # fmt: skip
_NAMES = re.compile(
    r"(?:^|/)(?:vault\.json|passphrase|pin|token\.object|id_(?:rsa|dsa|ed25519|ecdsa)"
    r"|[^/]*\.(?:p12|pfx|p8|pk8|jks|bcfks|ppk|keystore|key))$"
)
_SAID = "Every private key here is a test key, made from its label and published. Never use one."


def findings(name: str, raw: bytes) -> list[str]:
    """Return what is wrong with one file."""
    if name.startswith(_ALLOWED):
        return []
    found = [
        label
        for label, pattern in (("PEM", _PEM), ("JWK", _JWK), ("DER", _DER), ("other", _OTHER))
        if pattern.search(raw)
    ]
    return found + (["name"] if _NAMES.search(name) else [])


def versioned() -> list[str]:
    """Return the names of all files that are, or are about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_private_key_in_the_repository() -> None:
    """No file holds or is named like private key material; only the test vectors do."""
    names = versioned()

    wrong = {name: found for name in names if (found := findings(name, (ROOT / name).read_bytes()))}

    assert "broker/vault/file.py" in names
    assert wrong == {}


def test_test_vectors_say_what_their_keys_are() -> None:
    """The one folder that may hold private keys says in its manual that they are published and never to be used."""
    assert _ALLOWED == ("tests/vectors/",)
    assert _SAID in (ROOT / "tests/vectors/README.md").read_text("utf-8")


def test_real_private_files_are_seen() -> None:
    """A key as the usual tools write it is found in each of their forms, whatever the file is called."""
    key = ed25519.Ed25519PrivateKey.generate()
    forms = {
        "DER": [
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            pkcs12.serialize_key_and_certificates(b"k", key, None, None, BestAvailableEncryption(b"x")),
            rsa.generate_private_key(65537, 2048).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        ],
        "PEM": [
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        ],
    }

    for label, written in forms.items():
        assert [findings("deploy/file.bin", raw) for raw in written] == [[label]] * 3
    assert (
        findings("deploy/file.bin", key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        == []
    )


@pytest.mark.parametrize(
    ("name", "raw", "found"),
    [
        ("keys/EE.json", b'{"kty": "OKP", "d": "' + b"A" * 43 + b'"}', ["JWK"]),
        ("keys/EE.json", b'{"kty":"AKP","priv":"' + b"A" * 43 + b'"}', ["JWK"]),
        ("keys/EE.json", b'{"seed": "' + b"A" * 43 + b'"}', ["JWK"]),
        ("keys/tokens/token.object", b"", ["name"]),
        ("keys/putty.txt", b"PuTTY-User" + b"-Key-File-3: ssh-ed25519", ["other"]),
        ("keys/EE.json", b'{"kty":"AKP","pub":"' + b"A" * 43 + b'"}', []),
        ("deploy/tls.txt", b"-----BEGIN EC PRIVATE" + b" KEY-----\n" + b"A" * 64, ["PEM"]),
        ("deploy/tls.py", b"'-----BEGIN PRIVATE" + b" KEY-----\\n" + b"A" * 64, ["PEM"]),
        ("deploy/tls.txt", b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 64, []),
        ("homes/EE/vault.json", b"{}", ["name"]),
        ("deploy/server.key", b"", ["name"]),
        ("tests/vectors/envelope/good.json", b'{"d":"' + b"A" * 43 + b'"}', []),
    ],
)
def test_scan_sees_what_it_looks_for(name: str, raw: bytes, found: list[str]) -> None:
    """Private parts are found wherever they lie, public ones are not."""
    assert findings(name, raw) == found
