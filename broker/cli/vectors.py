# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm vectors`: hold this installation against the test vectors of the envelope and of sealed parts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from broker.cli import output
from broker.core.errors import BadRequest

if TYPE_CHECKING:
    from broker.testing.vectors import VectorResult

__all__ = ["vectors"]

_STORED = Path(__file__).resolve().parents[2] / "tests" / "vectors"
_SETS = {"envelope": "generate.py", "sealed": "sealed_cases.py"}  # each with the generator beside it
_GENERATE_SECONDS = 120


def vectors(folder: Path | None, *, fresh: bool, as_json: bool) -> int:
    """Run every vector in the folder and return the exit code.

    Raises:
        BadRequest: there is none, a file is not a vector, or there is no generator for a fresh set.
    """
    if folder is None and not _STORED.is_dir():
        raise BadRequest(
            "The installed program has no vectors: name a folder of the source's tests/vectors.", where="folder"
        )
    folders = [folder] if folder is not None else [_STORED / name for name in _SETS]
    runs = {stored: _run(stored) for stored in folders}
    results = [result for run in runs.values() for result in run]
    wrong = [result for result in results if not result.passed]
    differing = None
    if fresh:
        differing = [name for stored, run in runs.items() for name in _differing(run, _fresh(stored))]
    document = {
        "vectors": len(results),
        "good": sum(1 for result in results if result.expect == "ok"),
        "fresh_differs": differing,
        "failed": [
            {
                "name": result.name, "expect": result.expect, "expect_layer": result.expect_layer,
                "got": result.got, "got_layer": result.got_layer,
            }
            for result in wrong
        ],
    }  # fmt: skip

    def people() -> None:
        if wrong:
            rows = ((r.name, r.expect, r.expect_layer or "", r.got, r.got_layer or "") for r in wrong)
            output.table(("vector", "expected", "by layer", "got", "by layer"), rows)
        good = document["good"]
        output.console().print(f"{len(results)} vectors ({good} good): {len(wrong) or 'none'} came out otherwise.")
        if differing is not None:
            output.console().print(f"A fresh set differs in: {', '.join(differing) or 'nothing'}.")

    output.answer(document, as_json=as_json, people=people)
    return output.EXIT_REFUSED if wrong or differing else output.EXIT_OK


def _run(folder: Path) -> tuple[VectorResult, ...]:
    """Run a set by its kind: a vector of a sealed part names the message in which it stands."""
    from broker.testing.sealed_vectors import are_sealed, run_sealed_vectors
    from broker.testing.vectors import run_vectors

    try:
        results = run_sealed_vectors(folder) if are_sealed(folder) else run_vectors(folder)
    except ValueError as error:
        raise BadRequest(f"{error}.", where=str(folder)) from error
    if not results:
        raise BadRequest("There are no vectors here; name their folder.", where=str(folder))
    return results


def _fresh(stored: Path) -> tuple[VectorResult, ...]:
    """Let the generator make a new set and run it; a process of its own, for it is no part of this program."""
    generator = stored.parent / _SETS.get(stored.name, _SETS["envelope"])
    if not generator.is_file():
        raise BadRequest("The generator does not stand beside these vectors.", where=str(generator))
    with tempfile.TemporaryDirectory(prefix="trm-vectors-") as folder:
        made = subprocess.run(  # noqa: S603 - the generator of the source tree
            [sys.executable, str(generator), folder], capture_output=True, timeout=_GENERATE_SECONDS, check=False
        )
        if made.returncode != 0:
            raise BadRequest(f"The generator failed (exit code {made.returncode}).", where=str(generator))
        return _run(Path(folder))


def _differing(stored: Iterable[VectorResult], fresh: Iterable[VectorResult]) -> list[str]:
    """Return the names whose code or layer is not the stored one, or that only one set has."""
    old, new = (
        {result.name: (result.expect, result.expect_layer, result.passed) for result in results}
        for results in (stored, fresh)
    )
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
