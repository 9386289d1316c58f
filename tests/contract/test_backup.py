# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Backup and restore on both databases, and from one into the other; what stands in the files."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.core.errors import HomeInvalid, NodeRunning
from broker.storage import AtRest, open_store
from broker.storage.presence import announce_presence
from broker.storage.schema import reading
from broker.testing import store_rows as rows
from broker.testing.at_rest import UnsafeClear
from broker.testing.backed_home import BackedHome, fill
from broker.testing.canaries import CANARIES, found
from broker.testing.postgres import PostgresServer

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    ("source", "target"), [("sqlite", "postgres"), ("postgres", "sqlite"), ("postgres", "postgres")]
)
def test_a_backup_of_one_database_is_restored_into_the_other(
    tmp_path: Path, postgres_run: PostgresServer, source: str, target: str
) -> None:
    """Rows, contents, the numbers that are given next: all as it was, whichever database it comes from and goes to."""
    urls = [postgres_run.database() if kind == "postgres" else None for kind in (source, target)]
    home = BackedHome.create(tmp_path, store_url=urls[0])
    fill(home, 3)
    home.work(lambda tx: tx.resolve_attention("overdue-delivered", "message-1", at=rows.later(9), by="test"))
    data, keys = home.back_up()
    anew_url = urls[1] or f"sqlite:///{tmp_path / 'anew.db'}"
    done = home.restore(data.file, keys.file, store_url=anew_url)
    anew = home.anew()

    assert done.rows == data.manifest.rows
    assert [anew.contents(number) for number in range(3)] == [home.contents(number) for number in range(3)]
    anew.work(lambda tx: tx.raise_attention(rows.attention("message-2")))
    with reading(anew_url) as connection:
        numbers = connection.execute(text("SELECT id FROM attention ORDER BY id")).scalars().all()
    assert numbers == [1, 2]
    for url in filter(None, urls):
        postgres_run.drop(url)


def test_a_database_with_something_or_a_node_is_refused(tmp_path: Path, postgres_run: PostgresServer) -> None:
    """Tables of anybody's, and a worker that runs: the server itself knows of it, and forgets it when it dies."""
    home = BackedHome.create(tmp_path)
    fill(home, 1)
    data, keys = home.back_up()
    url = postgres_run.database()
    presence = announce_presence(url)
    with pytest.raises(NodeRunning):
        home.restore(data.file, keys.file, store_url=url)
    postgres_run.disconnect_all(url)  # it died
    assert home.restore(data.file, keys.file, store_url=url).rows == data.manifest.rows
    presence.close()
    with pytest.raises(HomeInvalid, match="not empty"):
        home.restore(home.back_up(60)[0].file, home.back_up(61)[1].file, store_url=url, name="second")
    postgres_run.drop(url)


def test_after_the_rows_are_in_only_the_home_is_missing(
    tmp_path: Path, postgres_run: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore that dies between database and home is brought to its end by the same command."""
    home = BackedHome.create(tmp_path)
    fill(home, 1)
    data, keys = home.back_up()
    url = postgres_run.database()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("broker.backup.restoring._take_place", die)
        with pytest.raises(KeyboardInterrupt):
            home.restore(data.file, keys.file, store_url=url)
    home.restore(data.file, keys.file, store_url=url)
    assert home.anew().contents(0) == home.contents(0)
    postgres_run.drop(url)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_node_goes_on_while_it_is_backed_up(tmp_path: Path, postgres_run: PostgresServer, kind: str) -> None:
    """What is committed meanwhile is in the backup whole or not at all: each message with its content."""
    url = postgres_run.database() if kind == "postgres" else None
    home = BackedHome.create(tmp_path, store_url=url)
    fill(home, 200)
    stop, written = threading.Event(), []

    def write() -> None:
        number = 1000
        while not stop.is_set():
            fill(home, 5, first=number)
            written.append(number)
            number += 5

    writer = threading.Thread(target=write)
    writer.start()
    while not written:
        stop.wait(0.01)
    data, keys = home.back_up()
    stop.set()
    writer.join()
    held = data.manifest
    assert held.count("outbox") == held.count("outbox_content") == held.count("inbox") == held.count("inbox_content")
    assert 200 < held.count("outbox") <= 200 + 5 * len(written)
    assert home.restore(data.file, keys.file, store_url=f"sqlite:///{tmp_path / 'anew.db'}").rows == held.rows
    if url:
        postgres_run.drop(url)


@pytest.mark.parametrize("encrypted", [True, False])
def test_no_text_of_any_message_stands_in_a_backup(tmp_path: Path, *, encrypted: bool) -> None:
    """Two layers: the file's, and below it the cases' own; where the cases' is off, the opened file shows every name."""
    home = BackedHome.create(tmp_path)
    asyncio.run(_plant(home, encrypted=encrypted))
    data, keys = home.back_up()
    inside = b"".join(_opened(home, file) for file in (data.file, keys.file))

    assert found(data.file.read_bytes()) | found(keys.file.read_bytes()) == set()
    assert found(inside) == (set() if encrypted else set(CANARIES))


async def _plant(home: BackedHome, *, encrypted: bool) -> None:
    from broker.core.content import entry_of
    from broker.core.messages import OutboxKind

    cipher = AtRest(home.vault.ring) if encrypted else UnsafeClear()
    store = open_store(home.settings.store_url, us=rows.EE, cipher=cipher)
    for number, name in enumerate(CANARIES):
        entry = entry_of(rows.outgoing(number).header, {"child": name}, OutboxKind.MESSAGE)
        await store.run(lambda tx, entry=entry: tx.add_outbox(entry, next_at=rows.NOW))  # type: ignore[misc]
    await store.close()


def _opened(home: BackedHome, file: Path) -> bytes:
    """Return everything that stands in a backup, with its base64 undone."""
    import re
    from base64 import b64decode

    from broker.backup.container import frames, look
    from broker.security.backup_file import open_head

    with file.open("rb") as stream:
        payloads = [frame.payload for frame in frames(stream, open_head(look(stream).raw_head, home.opener))]
    raw = b"\n".join(payloads)
    return raw + b"".join(
        b64decode(item + b"=" * (-len(item) % 4))
        for item in re.findall(rb"[A-Za-z0-9+/]{8,}", raw)
        if len(item) % 4 != 1
    )
