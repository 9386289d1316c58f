# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The threat model names tests that exist and run: a control that nothing proves is a hope."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "broker" / "security" / "THREATS.md").read_text(encoding="utf-8")
ROWS = [row for row in PAGE.splitlines() if row.startswith("| T-")]
NAMED = sorted(set(re.findall(r"`(tests/[^`]+\.py)::([^`]+)`", PAGE)))
_SKIPS = {"skip", "skipif", "xfail", "importorskip"}


@cache
def parsed(path: str) -> ast.Module:
    """Return a test file's syntax."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def found(path: str, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the test function of that name, at module level or in a class that pytest collects."""
    module = parsed(path)
    bodies = [
        module.body,
        *(node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test")),
    ]
    for body in bodies:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                return node
    return None


def skips(node: ast.AST) -> bool:
    """Whether anything in it would keep a test from running."""
    return any(isinstance(part, ast.Attribute) and part.attr in _SKIPS for part in ast.walk(node))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists_and_runs(path: str, name: str) -> None:
    """It is a function that pytest collects, in a file of its pattern, and neither it nor its file skips it."""
    assert Path(path).name.startswith("test_")
    assert name.startswith("test_")
    function = found(path, name)
    assert function is not None, f"{path} has no {name}"
    assert not skips(function)
    marks = [node for node in parsed(path).body if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node)]
    assert not any(skips(node) for node in marks)


def test_every_threat_has_a_control_and_a_proof() -> None:
    """At least twenty threats, numbered without a gap, each with what is done about it and the test that shows it."""
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in ROWS]
    assert len(ROWS) >= 20
    assert [row[0] for row in cells] == [f"T-{number:02}" for number in range(1, len(ROWS) + 1)]
    for _, threat, control, proof in cells:
        assert "**" in threat
        assert control
        assert re.search(r"`tests/\S+::test_\w+`", proof), threat


def test_what_is_named_is_named_rightly() -> None:
    """Everything that looks like a test's name is one: a typing error does not hide a missing proof."""
    assert len(re.findall(r"::", PAGE)) == len(re.findall(r"`tests/[^`]+\.py::test_\w+`", PAGE))


def test_what_is_not_defended_is_said() -> None:
    """The page is honest about what is left."""
    assert PAGE.count("**Not defended**") >= 5
    assert "## Not defended, or not yet" in PAGE
