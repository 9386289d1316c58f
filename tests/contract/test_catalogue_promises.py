# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The officers' ceremony keeps what a published catalogue promised."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.cli.ceremony.changing import stage
from broker.core.errors import CeremonyRefused
from broker.schema_files import read_schema_files
from broker.testing.federation import make_federation
from broker.trust import layout
from broker.trust.catalogue_documents import write_bundle

SCHEMAS = Path(__file__).parents[2] / "schemas"
_LEFT_OUT = shutil.ignore_patterns("*.md", "examples", "labels", "profiles", "documents", "law")


def test_a_catalogue_that_breaks_a_promise_is_not_staged(tmp_path: Path) -> None:
    """The file is named and nothing waits for signatures; other words for the same may be staged."""
    office = make_federation(tmp_path / "federation", ("EE", "FI"), messages={}, now=datetime.now(UTC)).office
    repository, folder = office.repository, tmp_path / "schemas"
    shutil.copytree(SCHEMAS, folder, ignore=_LEFT_OUT)
    repository.set_document(layout.CATALOGUE, write_bundle(read_schema_files(folder)), now=datetime.now(UTC))
    office.publish(now=datetime.now(UTC))
    codes = folder / "codes" / "yes-no.json"
    said = codes.read_text("utf-8")

    codes.write_text(said.replace('"NO"', '"NOT"'), "utf-8")
    with pytest.raises(CeremonyRefused) as caught:
        stage(repository.folder, "catalogue", folder, as_json=True)
    staged = repository.staged()
    codes.write_text(said.replace('"title": "Yes"', '"title": "Yes!"'), "utf-8")
    stage(repository.folder, "catalogue", folder, as_json=True)

    assert "codes/yes-no.json: it no longer accepts the same" in caught.value.detail
    assert staged == ()
    assert [role.role for role in repository.staged()] == ["targets"]
