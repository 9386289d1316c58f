# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a backup says it holds, held against what it holds."""

from __future__ import annotations

import io

import pytest

from broker.backup.container import Frame, Sealing
from broker.backup.contents import BEGIN, BLOB, DATA, END, FILE, ROWS, TABLE, Account, read_through
from broker.core import canonical
from broker.core.errors import BackupInvalid
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse
from broker.security import jwk
from broker.security.backup_file import RecoveryKey, begin

HEAD = {"country": "EE", "kind": "data"}
INSIDE = (
    Frame(kind=TABLE, payload=b'{"columns":["a"],"table":"outbox"}'),
    Frame(kind=ROWS, payload=b"[1]\n[2]\n"),
    Frame(kind=FILE, payload=b'{"file":"settings.toml"}'),
    Frame(kind=DATA, payload=b"text"),
    Frame(kind=BLOB, payload=b'{"blob":"x","index":0}'),
    Frame(kind=DATA, payload=b"sealed"),
)


def told(*parts: Frame) -> bytes:
    """Return the account of these frames."""
    account = Account()
    for part in parts:
        account.take(part)
    return canonical.dump({"holds": account.document(), "lacking": ["m-1"], "missing_blobs": 1})


def read(*parts: Frame) -> object:
    """Return the manifest of a file with these frames."""
    key = RecoveryKey(public=jwk.generate(KeyUse.HPKE)[1])
    head, cipher = begin(country=CountryCode("EE"), kind="data", made="2026-11-22T03:00:00.000Z", recipients=[key])
    stream = io.BytesIO()
    sealing = Sealing(stream, head, cipher)
    for part in parts:
        sealing.put(part.kind, part.payload)
    sealing.close()
    return read_through(stream, cipher.again())


START = Frame(kind=BEGIN, payload=canonical.dump(HEAD))
DONE = Frame(kind=END, payload=told(*INSIDE))


def test_a_whole_backup_is_accounted_for() -> None:
    """Rows, files and sealed bytes, each with number, size and digest; what lacked is said."""
    manifest = read(START, *INSIDE, DONE)
    assert (manifest.begin, manifest.rows, manifest.count("outbox"), manifest.lacking) == (HEAD, 2, 2, ("m-1",))  # type: ignore[attr-defined]
    assert [one["bytes"] for one in manifest.holds["files"]] == [4]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "parts",
    [
        (START, *INSIDE[1:], DONE),  # rows without a table
        (START, *INSIDE, *INSIDE[:2], DONE),  # a table twice
        (START, *INSIDE[:-1], DONE),  # something is missing
        (START, *INSIDE[:4], Frame(kind=BLOB, payload=b'{"blob":"y","index":0}'), INSIDE[5], DONE),  # of another file
        (START, *INSIDE[:3], Frame(kind=DATA, payload=b"texu"), *INSIDE[4:], DONE),  # another text
        (START, *INSIDE, DONE, INSIDE[0]),  # something follows
        (START, *INSIDE),  # no end
        (*INSIDE, DONE),  # no beginning
        (Frame(kind=BEGIN, payload=b"[1]"), DONE),  # a beginning that says nothing
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused(parts: tuple[Frame, ...]) -> None:
    """Whatever lacks, comes twice or stands in another place."""
    with pytest.raises(BackupInvalid):
        read(*parts)
