# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Backups that programs of earlier revisions of the tables wrote are restored by this one: migrated, and all of it opens."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.backup.making import back_up
from broker.backup.restoring import Restored, open_backup, restore
from broker.core.trust import KeyUse
from broker.security import jwk
from broker.security.suite import KeyRing
from broker.settings import Settings
from broker.storage import AtRest, check, open_store
from broker.storage.schema import HEAD, reading
from broker.testing import store_rows as rows
from broker.vault import FileVault

FOLDER = Path(__file__).parent / "backups"
REVISIONS = sorted(file.stem for file in FOLDER.glob("*.trmdata"))
POSTGRES = (pytest.mark.postgres, pytest.mark.xdist_group("postgres"))  # one server for all of them
PASSPHRASE = b"anybody's"
SEED = sha256(b"trm-broker test recovery key").digest()
OPENER = KeyRing({jwk.thumbprint(KeyUse.HPKE, jwk.public_of(KeyUse.HPKE, SEED)): SEED})


def made_anew(folder: Path, revision: str, url: str, *, keys: Path | None = None) -> Restored:
    """Restore a stored backup of data, with the keys of its day or others."""
    (folder / "vault.pass").write_bytes(PASSPHRASE)
    return restore(
        FOLDER / f"{revision}.trmdata", keys or FOLDER / f"{revision}.trmkeys", OPENER,
        home=folder / "anew", now=rows.later(1000), actor="test", store_url=url, passphrase=str(folder / "vault.pass"),
    )  # fmt: skip


def vault_in(folder: Path) -> FileVault:
    """Open the vault that was restored there."""
    return FileVault.open(Settings.load(folder / "anew").vault_file, PASSPHRASE)


async def contents(folder: Path, url: str) -> dict[str, str]:
    """Return the digest of each message's content, opened under the restored keys."""
    store = open_store(url, us=rows.EE, cipher=AtRest(vault_in(folder).ring))
    found: dict[str, str] = {}
    for name in json.loads((FOLDER / f"{REVISIONS[0]}.json").read_text()):
        for row in await store.read(lambda reader, name=name: reader.messages_of(name, None)):  # type: ignore[misc]
            found[str(row.id)] = sha256(row.content or b"").hexdigest()
    await store.close()
    return found


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=POSTGRES)])
async def test_an_older_programs_backup_is_restored_and_migrated(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, revision: str
) -> None:
    """Every message opens, every row is there, the tables are of today, and the search is owed its terms."""
    url = f"sqlite:///{tmp_path / 'anew.db'}" if kind == "sqlite" else request.getfixturevalue("postgres_database")
    done = made_anew(tmp_path, revision, url)

    check(url)
    assert await contents(tmp_path, url) == json.loads((FOLDER / f"{revision}.json").read_text())
    with reading(url) as connection:
        counted = {
            table: connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one()
            for table in ("outbox", "inbox", "record_entry", "receipt", "parked_chunk", "quarantine", "search_owed")
        }
    assert counted == {
        "outbox": 3, "inbox": 3, "record_entry": 3, "receipt": 3, "parked_chunk": 1, "quarantine": 1, "search_owed": 1,
    }  # fmt: skip
    with open_backup(FOLDER / f"{revision}.trmdata", OPENER) as opened:
        assert (opened.manifest.begin["schema"], opened.manifest.rows) == (revision, done.rows)
    blob = "0123456789abcdef" * 2
    assert (tmp_path / "anew" / "attachments" / "01" / blob / "0").read_bytes() == b"sealed bytes"


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_newest_keys_may_be_of_a_later_program(tmp_path: Path, revision: str) -> None:
    """Data from before an upgrade open with the keys that were backed up behind it: of keys there are no others."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    url = f"sqlite:///{first / 'anew.db'}"
    made_anew(first, revision, url)
    settings = Settings.load(first / "anew")
    _, keys = back_up(settings, vault_in(first), to=first / "data", keys_to=first / "keys", now=rows.later(2000))
    assert keys.manifest.begin["schema"] == HEAD
    url = f"sqlite:///{second / 'anew.db'}"
    made_anew(second, revision, url, keys=keys.file)

    check(url)
    assert await contents(second, url) == json.loads((FOLDER / f"{revision}.json").read_text())


def test_backups_of_every_revision_since_there_are_any_are_kept() -> None:
    """No revision is left out between the first backups and the newest that is stored here."""
    assert [int(revision) for revision in REVISIONS] == list(range(9, int(REVISIONS[-1]) + 1))
