# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which message catalogue a node works by: the one that its trust list names, and the tables of those before it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core import canonical
from broker.core.attention import AttentionCode
from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode, Digest
from broker.core.trust import MemberStatus
from broker.node import build
from broker.office import open_office
from broker.rows import TrustRow
from broker.schema_files import load_catalogue, read_schema_files
from broker.settings import Settings
from broker.storage import keep_trust, kept_trust_memory
from broker.testing.federation import Federation, make_federation
from broker.transport.spool import create
from broker.trust import layout
from broker.trust.catalogue_documents import load_bundle, write_bundle
from broker.trust.opening import open_catalogue
from broker.vault import open_vault

EE = CountryCode("EE")
PROCEDURE = "family-tracing"
TABLE = f"procedures/{PROCEDURE}.json"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """A federation of one country, which no test touches."""
    made = make_federation(tmp_path_factory.mktemp("founded"), (EE,), messages={}, now=datetime.now(UTC))
    create(made.spool_folder, made.homes)
    return made


@pytest.fixture
def federation(founded: Federation, tmp_path: Path) -> Federation:
    """A federation of one country; its trust list names no catalogue yet."""
    return founded.copied(tmp_path)


@pytest.fixture
def settings(federation: Federation) -> Settings:
    """Those of its node."""
    return Settings.load(federation.homes[EE])


def sign(federation: Federation, version: str) -> Digest:
    """Let the officers sign a catalogue whose only difference is the version of one table; return the table's digest."""
    files = read_schema_files()
    table = json.loads(files[TABLE]) | {"version": version}
    raw = write_bundle({**files, TABLE: json.dumps(table).encode()})
    federation.office.repository.set_document(layout.CATALOGUE, raw, now=datetime.now(UTC))
    federation.office.publish(now=datetime.now(UTC))
    return load_bundle(raw).table(PROCEDURE).digest


async def test_without_a_name_in_the_list_the_shipped_files_count(settings: Settings) -> None:
    """A federation that signed no catalogue leaves its nodes what their program carries."""
    office = open_office(settings, open_vault(settings))
    assert office.signed_catalogue is None
    assert office.catalogue.table(PROCEDURE) == load_catalogue().table(PROCEDURE)
    await office.close()


async def test_a_node_works_by_the_catalogue_that_its_list_names(federation: Federation, settings: Settings) -> None:
    """It opens procedures by the signed tables alone; the program's own are still found by their digests."""
    signed = sign(federation, "1.7")
    office = open_office(settings, open_vault(settings))
    assert office.signed_catalogue == office.trust.current().catalogue is not None
    assert office.catalogue.table(PROCEDURE).digest == signed
    assert [table.version for table in office.catalogue.tables() if table.procedure == PROCEDURE] == ["1.7"]
    shipped = load_catalogue().table(PROCEDURE)
    assert office.catalogue.table_by_digest(shipped.digest) == shipped
    await office.close()


async def test_a_newer_catalogue_waits_for_the_next_start(federation: Federation, settings: Settings) -> None:
    """The running node goes on as it began; the next one knows the tables of every catalogue that was in force."""
    first = sign(federation, "1.7")
    running = open_office(settings, open_vault(settings))
    second = sign(federation, "1.8")
    await running.trust.refresh(asked=False)
    assert running.trust.current().catalogue != running.signed_catalogue
    assert running.catalogue.table(PROCEDURE).digest == first
    third = sign(federation, "1.9")
    version = running.trust.current().version
    await running.trust.refresh(asked=True)
    assert running.trust.current().version > version
    await running.close()

    catalogue, signed = open_catalogue(settings)
    assert signed == running.trust.current().catalogue
    assert catalogue.table(PROCEDURE).digest == third
    for earlier in (first, second):
        table = catalogue.table_by_digest(earlier)
        assert table is not None
        assert table.digest == earlier


async def test_a_person_is_told_to_restart(federation: Federation, settings: Settings) -> None:
    """The node calls its operator when the list names another catalogue, and no more after the restart."""
    node = build(settings, open_vault(settings))
    warn = node.warnings[AttentionCode.CATALOGUE]
    assert warn() is None
    sign(federation, "1.7")
    await node.office.trust.refresh(asked=False)
    assert "restart" in (warn() or "")
    await node.office.close()
    again = build(settings, open_vault(settings))
    assert again.warnings[AttentionCode.CATALOGUE]() is None
    await again.office.close()


async def test_changed_bytes_are_not_the_signed_catalogue(federation: Federation, settings: Settings) -> None:
    """What stands in the database is held against the list's digest before a node works by it."""
    sign(federation, "1.7")
    await open_office(settings, open_vault(settings)).close()
    row, memory = kept_trust_memory(settings.store_url)
    assert row is not None
    raw = memory[layout.CATALOGUE_FILE]
    keep_trust(settings.store_url, row, {**memory, layout.CATALOGUE_FILE: raw.replace(b"1.7", b"1.6")})
    with pytest.raises(TrustListInvalid) as caught:
        open_catalogue(settings)
    assert caught.value.rule == "hash"


def spoil_kept(settings: Settings, *, change: Callable[[TrustRow], TrustRow]) -> None:
    """Let what is kept be changed beside the node, as by a newer program or a fault of the disk."""
    row, memory = kept_trust_memory(settings.store_url)
    assert row is not None
    changed = change(row)
    keep_trust(settings.store_url, replace(changed, digest=canonical.digest(changed.raw)), memory)


KEPT = {
    "a document of a newer program": lambda row: replace(row, raw=row.raw.replace(b"trm-member/1", b"trm-member/2")),
    "a list of a newer program": lambda row: replace(
        row, raw=row.raw.replace(b"trm-trust-list/1", b"trm-trust-list/2")
    ),
    "damaged": lambda row: replace(row, raw=row.raw[:-1]),
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
async def test_a_kept_list_that_cannot_be_read_is_fetched_again(
    settings: Settings, change: Callable[[TrustRow], TrustRow]
) -> None:
    """A node that comes up after an up- or downgrade asks its source, and works by what that gives."""
    await open_office(settings, open_vault(settings)).close()
    spoil_kept(settings, change=change)
    office = open_office(settings, open_vault(settings))
    assert set(office.trust.current().members) == {EE}
    await office.close()
    row, _ = kept_trust_memory(settings.store_url)
    assert row is not None
    assert b"trm-trust-list/1" in row.raw


async def test_without_a_source_one_sentence_says_who_must_act(federation: Federation, settings: Settings) -> None:
    """Where nothing usable is kept and none can be fetched, the node ends and keeps what it had."""
    await open_office(settings, open_vault(settings)).close()
    spoil_kept(settings, change=KEPT["damaged"])
    before = kept_trust_memory(settings.store_url)
    federation.office.folder.rename(federation.folder / "away")
    with pytest.raises(TrustListInvalid, match="This node's operator must act"):
        open_office(settings, open_vault(settings))
    assert kept_trust_memory(settings.store_url) == before


async def test_what_is_fetched_again_is_never_older(federation: Federation, settings: Settings, tmp_path: Path) -> None:
    """An unreadable list does not make the node forget which version it has seen."""
    old = shutil.copytree(federation.office.folder, tmp_path / "old")
    federation.office.repository.suspend(EE, "A drill.", now=datetime.now(UTC))
    federation.office.publish(now=datetime.now(UTC))
    await open_office(settings, open_vault(settings)).close()
    spoil_kept(settings, change=KEPT["damaged"])
    shutil.rmtree(federation.office.folder)
    old.rename(federation.office.folder)
    with pytest.raises(TrustListInvalid, match="older than"):
        open_office(settings, open_vault(settings))


async def test_damaged_bytes_of_the_catalogue_are_fetched_again(federation: Federation, settings: Settings) -> None:
    """The node begins with the signed catalogue; its damaged bytes leave no table behind."""
    first = sign(federation, "1.7")
    await open_office(settings, open_vault(settings)).close()
    row, memory = kept_trust_memory(settings.store_url)
    assert row is not None
    raw = memory[layout.CATALOGUE_FILE]
    keep_trust(settings.store_url, row, {**memory, layout.CATALOGUE_FILE: raw.replace(b"1.7", b"1.6")})
    office = open_office(settings, open_vault(settings))
    assert office.catalogue.table(PROCEDURE).digest == first
    await office.close()
    _, mended = kept_trust_memory(settings.store_url)
    assert mended == memory


async def test_a_catalogue_of_a_newer_program_leaves_the_one_in_force(
    federation: Federation, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the list is taken, the kept bytes are those of the catalogue in force, and every look tells of it."""
    first = sign(federation, "1.7")
    node = open_office(settings, open_vault(settings))
    with monkeypatch.context() as newer:
        newer.setattr("broker.trust.checking.load_bundle", lambda raw: None)
        federation.office.repository.set_document(
            layout.CATALOGUE, b'{"format": "trm-catalogue/2"}', now=datetime.now(UTC)
        )
        federation.office.repository.suspend(EE, "A drill.", now=datetime.now(UTC))
        federation.office.publish(now=datetime.now(UTC))
    look = await node.trust.refresh(asked=False)
    assert (look.troubles, set(look.unread)) == ({}, {layout.CATALOGUE})
    assert node.trust.current().members[EE].status is MemberStatus.SUSPENDED
    assert node.trust.current().catalogue == node.signed_catalogue
    version = node.trust.current().version
    again = await node.trust.refresh(asked=True)
    assert (node.trust.current().version, set(again.unread)) == (version, {layout.CATALOGUE})
    await node.close()
    restarted = open_office(settings, open_vault(settings))
    assert restarted.catalogue.table(PROCEDURE).digest == first
    await restarted.close()
