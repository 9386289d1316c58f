# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Stored vectors of sealed parts give what they say, to the product and to a reader written from the specification."""

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker.testing.sealed_vectors import SEALED_LAYERS, run_sealed_vectors

HERE = Path(__file__).parent
FOLDER = HERE / "sealed"
FILES = sorted(FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """The second reader."""
    spec = importlib.util.spec_from_file_location("sealed_reader", HERE / "sealed_reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_office_and_node_give_what_each_vector_says() -> None:
    """The office opens or refuses at the named layer with the named code, and so does its node with its own."""
    results = run_sealed_vectors(FOLDER)
    assert [result for result in results if not result.passed] == []
    assert len(results) == len(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_second_reader_agrees(reader: ModuleType, file: Path) -> None:
    """Same code, same layer, or the same inside; what only a schema can refuse it takes."""
    vector = json.loads(file.read_bytes())
    try:
        got: tuple[str, str | None, Any] = ("ok", None, reader.read(vector))
    except reader.Refused as error:
        got = (error.code, error.layer, None)
    if vector["layer"] == "schema":
        assert got[0] == "ok"
        return
    assert got == (vector["expect"], vector["layer"], vector.get("inside"))


def test_the_second_reader_shares_nothing_with_the_product() -> None:
    """It imports the standard library and the cryptographic library."""
    nodes = ast.walk(ast.parse((HERE / "sealed_reader.py").read_text(encoding="utf-8")))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    assert modules
    assert not any(module.startswith("broker") for module in modules)


def test_every_layer_refuses_something_and_enough_is_taken() -> None:
    """No check is without a vector, and the node's own checks have theirs."""
    vectors = [json.loads(file.read_bytes()) for file in FILES]
    assert {vector["layer"] for vector in vectors} - {None} == set(SEALED_LAYERS)
    assert {vector["node"] for vector in vectors} == {
        "ok", "schema-invalid", "sealed-part-refused", "authority-key-ended",
    }  # fmt: skip
    assert sum((vector["expect"], vector["node"]) == ("ok", "ok") for vector in vectors) >= 8
    assert sum((vector["expect"], vector["node"]) != ("ok", "ok") for vector in vectors) >= 50


def test_a_fresh_set_gives_the_same(tmp_path: Path) -> None:
    """Its bytes are others, its names, codes and layers are the stored ones."""
    subprocess.run([sys.executable, str(HERE / "sealed_cases.py"), str(tmp_path)], check=True, timeout=120)
    fresh = {result.name: result for result in run_sealed_vectors(tmp_path)}
    assert fresh == {result.name: result for result in run_sealed_vectors(FOLDER)}
