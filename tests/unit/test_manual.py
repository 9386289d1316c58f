# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The manuals say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broker import core
from broker.core.errors import every_error
from broker.manual import TABLES, errors_table, rewritten, write_reference
from broker.schema_files import load_catalogue, load_law

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["broker/README.md"])
def test_the_tables_are_those_of_the_code(name: str) -> None:
    """A manual's tables are what `python -m broker.manual` would write."""
    text = (ROOT / name).read_text("utf-8")
    assert rewritten(text) == text


def test_the_reference_is_that_of_the_schemas() -> None:
    """``schemas/README.md`` and the pages below ``schemas/reference`` are what `python -m broker.manual` would write, and no others."""
    folder = ROOT / "schemas"
    found = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in (folder / "reference").rglob("*.md")
    }

    assert {**found, "README.md": (folder / "README.md").read_text("utf-8")} == load_catalogue(folder).pages(
        load_law(folder)
    )


def test_a_page_that_is_no_longer_made_is_deleted(tmp_path: Path) -> None:
    """Writing the reference leaves no page of a procedure that was renamed."""
    left = tmp_path / "reference" / "procedures" / "renamed.md"
    left.parent.mkdir(parents=True)
    left.write_text("# Renamed\n", "utf-8")

    write_reference(tmp_path)

    assert not left.exists()
    assert (tmp_path / "README.md").exists()


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


def test_the_map_of_the_program_names_what_is_there() -> None:
    """Every module that the manual names exists, and every use case and every room is named."""
    text = (ROOT / "broker" / "README.md").read_text("utf-8")
    program = ROOT / "broker"
    named = {path.removeprefix("broker/") for path in re.findall(r"`([\w/]+(?:\.py|/))`", text)}
    flows = {path.stem for path in (program / "flows").glob("[a-z]*.py")}
    rooms = {f"{path.parent.name}/" for path in program.glob("[a-z]*/__init__.py")} | {
        path.name for path in program.glob("[a-z]*.py")
    }
    row = next(line for line in text.splitlines() if line.startswith("| `flows/`"))

    assert {path for path in named if not (program / path).exists() and not (ROOT / path).exists()} == set()
    assert flows - set(re.findall(r"\w+", row)) == set()
    assert rooms - named == set()
