# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""No private key lies in the repository, outside the plainly marked test vectors."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ALLOWED = ("tests/vectors/",)

# the patterns are put together so that this file does not hold what it looks for
_PEM = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE" + rb" KEY(?: BLOCK)?-----(?:\\n|\s)*[A-Za-z0-9+/]{32}")
_JWK = re.compile(rb'"(?:d|priv|dp|dq|qi)"\s*:\s*"[A-Za-z0-9_-]{42,}"')
_OTHER = re.compile(rb"AGE-SECRET" + rb"-KEY-1|AKIA[0-9A-Z]{16}|trm" + rb"-vault\"\s*,\s*\"version\"")
_NAMES = re.compile(r"(?:^|/)(?:vault\.json|passphrase|id_(?:rsa|ed25519|ecdsa)|[^/]*\.(?:p12|pfx|jks|keystore|key))$")


def findings(name: str, raw: bytes) -> list[str]:
    """Return what is wrong with one file."""
    if name.startswith(_ALLOWED):
        return []
    found = [label for label, pattern in (("PEM", _PEM), ("JWK", _JWK), ("other", _OTHER)) if pattern.search(raw)]
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

    assert "broker/vault.py" in names
    assert wrong == {}


@pytest.mark.parametrize(
    ("name", "raw", "found"),
    [
        ("keys/EE.json", b'{"kty": "OKP", "d": "' + b"A" * 43 + b'"}', ["JWK"]),
        ("keys/EE.json", b'{"kty":"AKP","priv":"' + b"A" * 43 + b'"}', ["JWK"]),
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
