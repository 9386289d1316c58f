# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""No two modules need each other: each can be read, and changed, by what stands below it alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, KeysView
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported(source: str, modules: KeysView[str]) -> Iterator[str]:
    """Yield which of the modules a source imports, wherever in it, for types alone as well."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports hide what is meant"
            below = {f"{node.module}.{name.name}" for name in node.names} & modules
            yield from below or {node.module} & modules
        elif isinstance(node, ast.Import):
            yield from {name.name for name in node.names} & modules


def test_modules_import_one_way() -> None:
    """There is an order in which each module stands behind all that it imports."""
    files = [file for package in ("broker", "adapters") for file in (ROOT / package).rglob("*.py")]
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}
    needs = {
        name: {other for other in imported(file.read_text("utf-8"), names.keys()) if other != name}
        for name, file in names.items()
    }
    assert needs["broker.core.record"] >= {"broker.core.evidence", "broker.core.messages"}
    TopologicalSorter(needs).prepare()  # else a CycleError, which names them
