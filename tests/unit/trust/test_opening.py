# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which message catalogue a node works by: the one that its trust list names, and the tables of those before it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.delivery import AttentionCode
from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode, Digest
from broker.node import build
from broker.office import open_office
from broker.schema_files import load_catalogue, read_schema_files
from broker.settings import Settings
from broker.storage import keep_trust, kept_trust_memory
from broker.testing.federation import Federation, make_federation
from broker.transport.spool import create
from broker.trust import layout
from broker.trust.catalogue_documents import load_bundle, write_bundle
from broker.trust.opening import open_catalogue
from broker.vault import FileVault

EE = CountryCode("EE")
PROCEDURE = "family-tracing"
TABLE = f"procedures/{PROCEDURE}.json"


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    """A federation of one country; its trust list names no catalogue yet."""
    made = make_federation(tmp_path, (EE,), messages={}, now=datetime.now(UTC))
    create(made.spool_folder, made.homes)
    return made


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
    office = open_office(settings)
    assert office.signed_catalogue is None
    assert office.catalogue.table(PROCEDURE) == load_catalogue().table(PROCEDURE)
    await office.close()


async def test_a_node_works_by_the_catalogue_that_its_list_names(federation: Federation, settings: Settings) -> None:
    """It opens procedures by the signed tables alone; the program's own are still found by their digests."""
    signed = sign(federation, "1.7")
    office = open_office(settings)
    assert office.signed_catalogue == office.trust.current().catalogue is not None
    assert office.catalogue.table(PROCEDURE).digest == signed
    assert [table.version for table in office.catalogue.tables() if table.procedure == PROCEDURE] == ["1.7"]
    shipped = load_catalogue().table(PROCEDURE)
    assert office.catalogue.table_by_digest(shipped.digest) == shipped
    await office.close()


async def test_a_newer_catalogue_waits_for_the_next_start(federation: Federation, settings: Settings) -> None:
    """The running node goes on as it began; the next one knows the tables of every catalogue that was in force."""
    first = sign(federation, "1.7")
    running = open_office(settings)
    second = sign(federation, "1.8")
    assert (await running.trust.refresh(asked=False)).newer
    assert running.trust.current().catalogue != running.signed_catalogue
    assert running.catalogue.table(PROCEDURE).digest == first
    third = sign(federation, "1.9")
    assert (await running.trust.refresh(asked=True)).newer
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
    node = build(settings, FileVault(EE, ()))
    warn = node.warnings[AttentionCode.CATALOGUE]
    assert warn() is None
    sign(federation, "1.7")
    await node.office.trust.refresh(asked=False)
    assert "restart" in (warn() or "")
    await node.office.close()
    again = build(settings, FileVault(EE, ()))
    assert again.warnings[AttentionCode.CATALOGUE]() is None
    await again.office.close()


async def test_changed_bytes_are_not_the_signed_catalogue(federation: Federation, settings: Settings) -> None:
    """What stands in the database is held against the list's digest before a node works by it."""
    sign(federation, "1.7")
    await open_office(settings).close()
    row, memory = kept_trust_memory(settings.store_url)
    assert row is not None
    raw = memory[layout.CATALOGUE_FILE]
    keep_trust(settings.store_url, row, {**memory, layout.CATALOGUE_FILE: raw.replace(b"1.7", b"1.6")})
    with pytest.raises(TrustListInvalid) as caught:
        open_catalogue(settings)
    assert caught.value.rule == "hash"
