# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Making a node anew: what comes back, what does not, and what is refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from broker.backup.restoring import open_backup
from broker.core.errors import BackupInvalid, HomeInvalid, NodeRunning, StoreNeedsMigration
from broker.ports import Transaction
from broker.security.at_rest import scopes_of
from broker.storage.dump import Loading
from broker.storage.presence import announce_presence
from broker.testing import store_rows as rows
from broker.testing.backed_home import BackedHome, fill


@pytest.fixture
def home(tmp_path: Path) -> BackedHome:
    """A home with two messages of either direction."""
    made = BackedHome.create(tmp_path)
    fill(made, 2)
    return made


def tables(home: BackedHome) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of a home's tables that a backup of data holds."""
    with sqlite3.connect(home.settings.home / "trm.db") as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
    connection.close()
    return found


def test_everything_comes_back(home: BackedHome) -> None:
    """Each row of each table is the one that was there, the bytes beside it too; the trail says that it was restored."""
    data, keys = home.back_up()
    before = tables(home)
    done = home.restore(data.file, keys.file)
    after = tables(home.anew())

    changed = {name for name in before if sorted(map(str, before[name])) != sorted(map(str, after[name]))}
    # the entry about it, the mark of it, and what people are found by: that is made again from the messages
    assert changed == {"audit", "counter", "healing", "search_owed", "search_term", "sqlite_sequence"}
    assert (len(before["search_term"]), after["search_term"]) == (1, [])
    assert after["search_owed"] == [(rows.procedure_id(1),)]
    assert [row[3] for row in after["audit"]] == ["restored"]
    assert home.anew().contents(1) == home.contents(1)
    blob = "attachments/01/" + "0123456789abcdef" * 2 + "/0"
    assert (home.folder / "anew" / blob).read_bytes() == b"sealed bytes"
    assert (done.made, done.erased) == (rows.NOW, 0)
    modes = {file.stat().st_mode & 0o777 for file in (home.folder / "anew").rglob("*") if file.is_file()}
    assert modes == {0o600}


def test_what_was_erased_since_is_opened_by_no_backup(home: BackedHome) -> None:
    """An older backup of data with the newest keys brings the rows back, and nothing opens them; there are no older keys."""
    data, old_keys = home.back_up()
    stolen = shutil.copy(old_keys.file, home.folder / "copy")
    scope = home.work(lambda tx: tx.destroy_case(_scope(), rows.later(60)))
    assert scope is True
    _, keys = home.back_up(120)
    done = home.restore(data.file, keys.file)

    assert done.erased == 1
    assert home.anew().contents(1) == (None, None)
    assert Path(stolen).read_bytes() != keys.file.read_bytes()
    assert list((home.folder / "keys").iterdir()) == [keys.file]


def test_what_was_erased_since_is_marked_erased(home: BackedHome) -> None:
    """Its rows come from an older backup: nobody is called to it, and no list has it as a case that is kept."""
    data, _ = home.back_up()
    at = rows.later(60)

    def erase(tx: Transaction) -> None:
        for scope in scopes_of(rows.FI, rows.CASE, rows.procedure_id(1)):
            tx.destroy_case(scope, at)
        tx.retention.mark_erased(rows.procedure_id(1), at)

    home.work(erase)
    _, keys = home.back_up(120)
    done = home.restore(data.file, keys.file)

    assert done.erased == 1  # the case, whose key and whose procedure's own key are both destroyed
    found: list[datetime | None] = []
    home.anew().work(lambda tx: found.extend(row.erased for row in tx.retention.case_of(rows.FI, rows.CASE)))
    assert found == [at]


def _scope():
    from broker.security.at_rest import scope_of

    return scope_of(rows.FI, rows.CASE, rows.procedure_id(1))


def test_nothing_is_restored_over_something(home: BackedHome) -> None:
    """A home, a database file or anything else in the place is refused, and stays as it is."""
    data, keys = home.back_up()
    place = home.folder / "anew"
    place.mkdir()
    (place / "thing").write_text("here")
    with pytest.raises(HomeInvalid, match="There is something already"):
        home.restore(data.file, keys.file)
    assert [file.name for file in place.iterdir()] == ["thing"]
    shutil.rmtree(place)
    other = home.folder / "other.db"
    other.write_bytes(b"")
    with pytest.raises(HomeInvalid, match="database file"):
        home.restore(data.file, keys.file, store_url=f"sqlite:///{other}")
    assert not place.exists()


def test_beside_a_running_node_nothing_is_restored(home: BackedHome) -> None:
    """The refusal says why: it runs."""
    data, keys = home.back_up()
    presence = announce_presence(home.settings.store_url)
    try:
        with pytest.raises(NodeRunning):
            home.restore(data.file, keys.file, name="EE")
    finally:
        presence.close()
    with pytest.raises(HomeInvalid):
        home.restore(data.file, keys.file, name="EE")


def test_keys_older_than_the_data_are_refused(home: BackedHome) -> None:
    """They may lack a case's key: then the newest are needed."""
    _, keys = home.back_up()
    kept = shutil.copy(keys.file, home.folder / "old-keys")
    data, _ = home.back_up(60)
    with pytest.raises(BackupInvalid, match="older than the data"):
        home.restore(data.file, Path(kept))


def test_two_countries_are_not_mixed(home: BackedHome) -> None:
    """The one's data and the other's keys, and files in each other's place, are refused."""
    data, keys = home.back_up()
    (home.folder / "other").mkdir()
    other = BackedHome.create(home.folder / "other", country="FI")
    fill(other, 1)
    other_data, _ = other.back_up()
    with pytest.raises(BackupInvalid, match="not encrypted to this recovery key"):
        home.restore(other_data.file, keys.file)
    with pytest.raises(BackupInvalid, match="not of data"):
        home.restore(keys.file, data.file)


def test_a_backup_that_somebody_else_made_is_refused(home: BackedHome, tmp_path: Path) -> None:
    """Everybody can encrypt to the recovery key; what was not signed by a key of the vault is not taken."""
    (tmp_path / "forger").mkdir()
    forger = BackedHome.create(tmp_path / "forger")
    shutil.copy(home.settings.home / "recovery-keys.json", forger.settings.home)
    fill(forger, 1)
    forged, _ = forger.back_up()
    _, keys = home.back_up()
    with pytest.raises(BackupInvalid, match="not signed by this node"):
        home.restore(forged.file, keys.file)
    assert not (home.folder / "anew").exists()


def test_a_signature_by_a_key_that_was_destroyed_since_counts(home: BackedHome) -> None:
    """The vault keeps the names of its destroyed keys: backups outlive rotations."""
    from broker.vault import PassphraseWrapper, VaultFile
    from broker.vault.entries import AT_REST, Entry

    data, _ = home.back_up()
    from broker.home import generate_keys

    file = VaultFile(home.settings.vault_file, PassphraseWrapper(b"anybody's"))
    file.change(
        lambda held: [
            *(entry if entry.kind in AT_REST else entry.without_material(rows.later(1)) for entry in held),
            *(Entry.of(key, created=rows.later(1)) for key in generate_keys()),
        ]
    )
    _, keys = home.back_up(60)
    assert home.restore(data.file, keys.file).made == rows.NOW


@pytest.mark.parametrize("place", ["begin", "middle", "end", "cut"])
def test_a_damaged_backup_is_refused_before_anything_is_written(home: BackedHome, place: str) -> None:
    """One changed byte anywhere, or a missing end, is found."""
    data, keys = home.back_up()
    raw = bytearray(data.file.read_bytes())
    if place == "cut":
        raw = raw[:-1]
    else:
        raw[{"begin": 40, "middle": len(raw) // 2, "end": len(raw) - 9}[place]] ^= 1
    data.file.write_bytes(raw)
    with pytest.raises(BackupInvalid):
        home.restore(data.file, keys.file)
    assert not any(path.name.startswith(".anew") or path.name == "anew" for path in home.folder.iterdir())


@pytest.mark.parametrize("call", ["take", "count_on", "finish"])
def test_an_interrupted_restore_is_begun_anew(home: BackedHome, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Wherever it ends, no home is there; the next one finds everything as at the first time."""
    data, keys = home.back_up()
    whole = getattr(Loading, call)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Loading, call, die)
    with pytest.raises(KeyboardInterrupt):
        home.restore(data.file, keys.file)
    assert not (home.folder / "anew").exists()
    monkeypatch.setattr(Loading, call, whole)
    assert home.restore(data.file, keys.file).rows == data.manifest.rows
    assert home.anew().contents(0) == home.contents(0)
    assert sorted(path.name for path in home.folder.glob(".*")) == []


@pytest.mark.parametrize("call", ["finish", "replace"])
def test_an_empty_folder_that_is_there_already_is_filled(
    home: BackedHome, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A service account's own folder, or a disk's, is kept as it is, and nothing is needed of the one around it."""
    data, keys = home.back_up()
    place = home.folder / "anew"
    place.mkdir(mode=0o750)
    before = place.stat().st_ino
    owner, moved = (Loading, getattr(Loading, call)) if call == "finish" else (Path, Path.replace)

    def die(self: object, *rest: object, **more: object) -> object:
        if call == "replace" and (not isinstance(self, Path) or self.name != "settings.toml"):
            return moved(self, *rest, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, call, die)
    with pytest.raises(KeyboardInterrupt):
        home.restore(data.file, keys.file)
    assert not (place / "settings.toml").exists()
    monkeypatch.setattr(owner, call, moved)
    assert home.restore(data.file, keys.file).rows == data.manifest.rows
    assert home.anew().contents(0) == home.contents(0)
    assert place.stat().st_ino == before
    assert [path.name for path in (*place.glob(".*"), *home.folder.glob(".*"))] == []


def test_what_is_another_accounts_is_filled_by_that_account(home: BackedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is refused before anything is written: what it restores the node's account could not read."""
    data, keys = home.back_up()
    place = home.folder / "anew"
    place.mkdir()
    if os.geteuid() == 0:
        os.chown(place, 54321, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(HomeInvalid, match="and root runs this command"):
        home.restore(data.file, keys.file)
    assert list(place.iterdir()) == []


def test_a_newer_schema_is_refused(home: BackedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older program does not guess what a newer one wrote."""
    monkeypatch.setattr("broker.storage.dump.Snapshot.schema", "9999")
    data, keys = home.back_up()
    with pytest.raises(StoreNeedsMigration, match="newer version of this program"):
        home.restore(data.file, keys.file)
    assert not (home.folder / "anew").exists()
    assert list(home.folder.glob(".*")) == []  # nothing was unpacked


def test_a_changed_inside_is_not_believed(home: BackedHome) -> None:
    """A file is opened as the kind that is asked for, and only by its recovery key."""
    data, _ = home.back_up()
    with open_backup(data.file, home.opener) as opened:
        assert (opened.country, opened.manifest.count("outbox")) == ("EE", 2)
        assert "case_key" not in opened.manifest.holds["tables"]
        assert "outbox_envelope" not in opened.manifest.holds["tables"]
