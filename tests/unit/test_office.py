# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The use cases over a node's own store, with no node running."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core.audit import AuditAction, AuditRow
from broker.core.errors import KeyMissing, TrustListInvalid
from broker.core.ids import AuthorityId
from broker.core.messages import Submission
from broker.office import Office, local_issuer, open_office
from broker.schema_files import read_schema_file
from broker.settings import Settings
from broker.storage import kept_trust
from broker.testing.federation import Federation
from broker.transport.spool import create
from broker.vault import open_vault

REQUEST: Mapping[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
OFFICE = AuthorityId("social-insurance-board")


@pytest.fixture
def home(federation: Federation) -> Path:
    """Estonia's home in a federation of two over a spool."""
    create(federation.spool_folder, federation.homes)
    return next(iter(federation.homes.values()))


def _submission(office: Office) -> Submission:
    return office.catalogue.parse_submission(REQUEST, actor="officer", route="cli", idempotency_key="k")


async def test_what_was_accepted_is_there_at_the_next_opening(home: Path) -> None:
    """A message submitted without a running node waits in the store; asked again, the office gives the same answer."""
    office = open_office(Settings.load(home), open_vault(Settings.load(home)))
    first = await office.submit(_submission(office))
    await office.close()

    office = open_office(Settings.load(home), open_vault(Settings.load(home)))
    again = await office.submit(_submission(office))
    counts = await office.store.read(lambda reader: reader.counts())
    await office.close()
    assert (again.message, again.repeated) == (first.message, True)
    assert counts["outbox.recorded"] == 1


async def test_time_does_not_go_back_behind_what_was_stored(home: Path) -> None:
    """A machine that starts minutes behind writes nothing that looks older than what it wrote before."""
    settings = Settings.load(home)
    office = open_office(settings, open_vault(settings))
    before = office.clock.now() + timedelta(minutes=3)
    row = AuditRow(at=before, actor="test", action=AuditAction.BACKED_UP, subject="0" * 64)
    await office.store.run(lambda tx: tx.audit(row))
    await office.close()

    office = open_office(settings, open_vault(settings))
    now = office.clock.now()
    await office.close()
    assert before <= now < before + timedelta(minutes=1)


async def test_a_running_node_is_woken(home: Path) -> None:
    """Whoever opens the office may be told that something waits."""
    rung = []
    office = open_office(Settings.load(home), open_vault(Settings.load(home)), wake=lambda: rung.append(True))
    await office.submit(_submission(office))
    await office.close()
    assert rung == [True]


@pytest.mark.parametrize(("content", "rule"), [(None, "missing"), (b"{}", "malformed")])
def test_an_office_without_a_root_does_not_open(home: Path, content: bytes | None, rule: str) -> None:
    """Nothing is believed without the root that was given by hand, and nothing is kept."""
    settings = Settings.load(home)
    settings.trust_root_file.unlink()
    if content is not None:
        settings.trust_root_file.write_bytes(content)
    with pytest.raises(TrustListInvalid) as caught:
        open_office(settings, open_vault(settings))
    assert caught.value.rule == rule
    assert kept_trust(settings.store_url) is None


async def test_an_office_opens_by_the_kept_list_when_its_source_is_gone(home: Path) -> None:
    """A node starts without its federation's server, by the list that it verified before."""
    settings = Settings.load(home)
    office = open_office(settings, open_vault(settings))
    before = office.trust.current()
    await office.close()
    shutil.rmtree(settings.trust_source)
    office = open_office(settings, open_vault(settings))
    assert office.trust.current() == before
    await office.close()


def test_the_issuer_needs_its_key(home: Path) -> None:
    """Without the key file no token is issued, and the operator reads what makes it."""
    with pytest.raises(KeyMissing) as caught:
        local_issuer(Settings.load(home))
    assert "trm restore" in caught.value.detail
