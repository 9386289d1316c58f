# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Promise P8: whatever stands in any text of any message, nothing of it stands in the files of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.core.canonical import b64url_decode
from broker.core.content import entry_of
from broker.core.ids import MessageType
from broker.core.messages import Header, OutboxKind
from broker.ports import Store, Transaction
from broker.rows import Idempotent, MessageFilter
from broker.storage import AtRest, Cipher, migrate, open_store
from broker.testing.at_rest import UnsafeClear, UnsafeEpochs
from broker.testing.canaries import CANARIES, found, plant_everywhere
from broker.testing.spoiling import examples
from broker.testing.store_rows import EE, FI, NOW, digest, incoming, message_id, outgoing, procedure_id


async def leave(folder: Path, cipher: Cipher) -> tuple[bytes, bytes, int]:
    """Store every example in both directions; return the bytes of all files, open and closed, and what was planted."""
    url = f"sqlite:///{folder / 'store.db'}"
    migrate(url)
    store, planted = open_store(url, us=EE, cipher=cipher), 0
    for number, example in enumerate(examples().values()):
        body, count = plant_everywhere(example["body"])
        planted += count
        await store.run(lambda tx, n=number, e=example, b=body: keep(tx, 2 * n, e, b))  # type: ignore[misc]
    await read_all(store)
    while_open = bytes_of(folder)
    assert (folder / "store.db-wal").stat().st_size > 0
    await store.close()
    return while_open, bytes_of(folder), planted


def keep(tx: Transaction, number: int, example: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Store a message of that type with that body, sent and received, with names in header and idempotency key too."""
    sent, came = outgoing(number), incoming(number + 1)

    def about(header: Header) -> Header:
        name = CANARIES[number % len(CANARIES)]
        basis = replace(header.legal_basis, citation=name) if header.legal_basis else None
        return replace(header, type=MessageType(example["type"]), purpose=name, language=name, legal_basis=basis)

    out = entry_of(about(sent.header), body, OutboxKind.MESSAGE)
    terms = frozenset(f"name {text}" for text in CANARIES)
    tx.add_outbox(replace(out, procedure=procedure_id(1)), next_at=NOW, terms=terms)
    entry = entry_of(about(came.header), body, OutboxKind.MESSAGE)
    tx.add_inbox(
        replace(came, content=entry.content, header=entry.header, digest=entry.digest),
        next_at=None,
        handed_over=NOW,
        terms=terms,
    )
    key = f"{CANARIES[number % len(CANARIES)]}-{number}"
    tx.add_idempotent(Idempotent(scope="s", key=key, body_digest=digest(number), message=message_id(number)), NOW)


async def read_all(store: Store) -> None:
    """Read it back as lists and one by one."""
    page = await store.read(lambda reader: reader.messages(MessageFilter(), cursor=None, limit=1000))
    assert len(page.items) == 2 * len(examples())
    for row in page.items:
        (one,) = await store.read(lambda reader, row=row: reader.messages_of(row.id, None))  # type: ignore[misc]
        assert one.content is not None
    assert await store.run(lambda tx: tx.inbox(FI, message_id(1))) is not None


def bytes_of(folder: Path) -> bytes:
    """Return every byte of every file there."""
    return b"\n".join(str(path).encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("encrypted", [True, False])
async def test_no_text_of_any_message_stands_in_the_stores_files(tmp_path: Path, *, encrypted: bool) -> None:
    """Database and journal hold no name, open or closed; where nothing encrypts, the same search finds every one."""
    cipher = AtRest(UnsafeEpochs().ring) if encrypted else UnsafeClear()
    while_open, closed, planted = await leave(tmp_path, cipher)

    assert planted > 20 * len(CANARIES)
    assert [found(while_open), found(closed)] == [set() if encrypted else set(CANARIES)] * 2


@pytest.mark.parametrize("encrypted", [True, False])
async def test_no_nonce_stands_in_the_stores_files(tmp_path: Path, *, encrypted: bool) -> None:
    """Digests outlive an erased case: with the nonce whoever holds the files could confirm what the messages said."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    store = open_store(url, us=EE, cipher=AtRest(UnsafeEpochs().ring) if encrypted else UnsafeClear())

    def sent_under_a_key(tx: Transaction) -> str:
        nonce = tx.idempotency_nonce("scope", "key")
        entry = entry_of(replace(outgoing(1).header, nonce=nonce), {}, OutboxKind.MESSAGE)
        tx.add_outbox(replace(entry, procedure=procedure_id(1)), next_at=NOW, terms=frozenset())
        tx.add_idempotent(Idempotent(scope="scope", key="key", body_digest=digest(1), message=message_id(1)), NOW)
        return nonce

    def came_back(tx: Transaction) -> str:
        nonce = tx.idempotency_nonce("scope", "a key from before a restore")
        tx.keep_returned(nonce, message_id(2), NOW)
        return nonce

    nonces = [await store.run(sent_under_a_key), await store.run(came_back)]
    known = await store.run(lambda tx: tx.find_idempotent("scope", "a key from before a restore"))
    while_open = bytes_of(tmp_path)
    await store.close()

    assert known is not None
    assert known.message == message_id(2)
    assert all(len(b64url_decode(nonce)) == 16 for nonce in nonces)
    stood = [nonce.encode() in files for nonce in nonces for files in (while_open, bytes_of(tmp_path))]
    assert any(stood) is not encrypted
