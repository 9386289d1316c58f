# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""On which versions of Python the product runs is said in several places, and everywhere alike."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_whole_suite_runs_on_the_versions_that_a_visitor_is_told() -> None:
    """From the oldest that the package takes, for which it is also linted and type-checked, and none left out between."""
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    run: list[str] = json.loads(re.findall(r"^ +python: (\[.+\])$", workflow, re.MULTILINE)[0])
    told = re.findall(r"on Python (3[0-9., and]+)\.$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    assert [re.findall(r"3\.[0-9]+", words) for words in told] == [run]
    assert run == [f"3.{minor}" for minor in range(11, 11 + len(run))]
    assert settings["project"]["requires-python"] == f">={run[0]}"
    assert settings["tool"]["mypy"]["python_version"] == run[0]
    assert settings["tool"]["ruff"]["target-version"] == f"py{run[0].replace('.', '')}"
