# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A database whose contents an older program wrote in clear."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text, update

from broker.core.errors import StoreNeedsMigration, VaultLocked
from broker.rows import Idempotent, salted
from broker.storage import encrypt_clear, encrypting, headers, locked, migrate, open_store
from broker.storage.schema import exclusive
from broker.storage.tables import counter, idempotency, inbox_content, outbox_content
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.store_rows import EE, FI, NOW, digest, incoming, message_id, outgoing

NAME = b"Maarika"
KEY = b"case-of-Maarika"


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """A database as the upgrade of an older one leaves it: contents and idempotency keys in clear, and marked."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    store = open_store(url, us=EE, cipher=unsafe_at_rest())
    for number in (1, 2, 3):
        await store.run(lambda tx, n=number: tx.add_outbox(outgoing(n), next_at=NOW))  # type: ignore[misc]
        await store.run(lambda tx, n=number: tx.add_inbox(incoming(n), next_at=NOW))  # type: ignore[misc]
    await store.close()
    with exclusive(url) as connection:
        for number in (1, 2, 3):
            for table, entry in ((outbox_content, outgoing(number)), (inbox_content, incoming(number))):
                clear = {"scope": None, "header": headers.of_content(entry.content), "content": entry.content}
                connection.execute(update(table).where(table.c.id == message_id(number)).values(clear))
        asked = {"scope": "s", "key": KEY.decode(), "body_digest": digest("body"), "message": message_id(2), "at": NOW}
        connection.execute(idempotency.insert(), asked)
        connection.execute(text("DELETE FROM case_key"))
        connection.execute(counter.insert(), {"name": encrypting.CLEAR_MARK, "value": 1})
    return url


def bytes_of(url: str) -> bytes:
    """Return every byte of the database's files."""
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_such_a_database_is_refused_with_what_mends_it(url: str) -> None:
    """No store opens on it, and without the vault nothing of it changes."""
    with pytest.raises(StoreNeedsMigration, match="start the node once"):
        open_store(url, us=EE, cipher=unsafe_at_rest())
    with pytest.raises(VaultLocked):
        encrypt_clear(url, locked())
    assert NAME in bytes_of(url)


async def test_all_of_it_is_encrypted_and_no_copy_stays(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted, it goes on; at the end every message reads as before, and no file holds a name in clear."""
    monkeypatch.setattr(encrypting, "rewrite_files", _stopped)
    assert NAME in bytes_of(url)
    with pytest.raises(InterruptedError):
        encrypt_clear(url, unsafe_at_rest())
    with pytest.raises(StoreNeedsMigration):
        open_store(url, us=EE, cipher=unsafe_at_rest())
    monkeypatch.undo()
    assert encrypt_clear(url, unsafe_at_rest()) == 0
    assert encrypt_clear(url, unsafe_at_rest()) == 0

    assert NAME not in bytes_of(url)
    assert digest("body").encode() not in bytes_of(url)
    store = open_store(url, us=EE, cipher=unsafe_at_rest())
    for number in (1, 2, 3):
        sent = await store.run(lambda tx, n=number: tx.outbox(message_id(n)))  # type: ignore[misc]
        came = await store.run(lambda tx, n=number: tx.inbox(FI, message_id(n)))  # type: ignore[misc]
        assert sent is not None
        assert came is not None
        assert (sent.entry, came.entry) == (outgoing(number), incoming(number))
    known = await store.run(lambda tx: tx.find_idempotent("s", KEY.decode()))
    expected = salted(digest("body"), outgoing(2).header.nonce)
    assert known == Idempotent(scope="s", key=KEY.decode(), body_digest=expected, message=message_id(2))
    await store.close()


def _stopped(_: str) -> None:
    raise InterruptedError
