# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The manuals say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker import core
from broker.core.errors import every_error
from broker.manual import TABLES, errors_table, rewritten
from broker.schema_files import load_catalogue

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["broker/README.md"])
def test_the_tables_are_those_of_the_code(name: str) -> None:
    """A manual's tables are what `python -m broker.manual` would write."""
    text = (ROOT / name).read_text("utf-8")
    assert rewritten(text) == text


def test_the_reference_is_that_of_the_schemas() -> None:
    """``schemas/REFERENCE.md`` is what `python -m broker.manual` would write, and names each type, list and procedure."""
    text = (ROOT / "schemas" / "REFERENCE.md").read_text("utf-8")
    catalogue = load_catalogue(ROOT / "schemas")
    assert catalogue.reference() == text
    assert all(f"### Codes `{name}`" in text for name in catalogue.code_lists())
    assert all(f"## Procedure `{table.procedure}`" in text for table in catalogue.tables())
    shared = catalogue.shared_acts()
    assert all(f"### `{kind.act if kind.act in shared else kind}`" in text for kind in catalogue.types())


def test_every_table_stands_in_the_manual() -> None:
    """No table is generated and left out."""
    text = (ROOT / "broker" / "README.md").read_text("utf-8")
    assert all(f"<!-- {name} -->\n|" in text for name in TABLES)


def test_each_error_has_one_row() -> None:
    """Codes are unique and each stands in the table once."""
    codes = [error.code for error in every_error()]
    assert len(codes) == len(set(codes))
    assert all(errors_table().count(f"| `{code}` |") == 1 for code in codes)


def test_every_room_stands_in_the_manual() -> None:
    """Each module and package of the broker is named in the table of rooms."""
    text = (ROOT / "broker" / "README.md").read_text("utf-8")
    folder = Path(core.__file__).parents[1]
    rooms = [path.name for path in folder.iterdir() if path.is_dir() and (path / "__init__.py").exists()]
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    missing = [name for name in rooms if f"`{name}/`" not in text]
    missing += [name for name in modules if f"`{name}`" not in text]
    assert missing == []
