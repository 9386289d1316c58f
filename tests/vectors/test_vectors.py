# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Stored vectors give what they say; a fresh set gives the same names, codes and layers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import by_code
from broker.testing.vectors import LAYERS, VectorResult, read_vector, run_vectors

HERE = Path(__file__).parent
STORED = HERE / "envelope"


@pytest.fixture(scope="module")
def stored() -> tuple[VectorResult, ...]:
    """The outcome of every stored vector, run once."""
    return run_vectors(STORED)


def _expected(results: tuple[VectorResult, ...]) -> dict[str, tuple[str, str | None]]:
    return {result.name: (result.expect, result.expect_layer) for result in results}


def test_every_stored_vector_gives_its_code_and_layer(stored: tuple[VectorResult, ...]) -> None:
    """Each stored envelope is accepted, or refused by the layer and with the code that its file names."""
    failed = [result for result in stored if not result.passed]

    assert failed == []


def test_there_are_enough_vectors(stored: tuple[VectorResult, ...]) -> None:
    """At least 12 envelopes are accepted and 80 refused."""
    accepted = [result for result in stored if result.expect == "ok"]

    assert len(accepted) >= 12
    assert len(stored) - len(accepted) >= 80


def test_every_layer_refuses_something(stored: tuple[VectorResult, ...]) -> None:
    """No layer is without a vector, and every code is one of ours."""
    layers = {result.expect_layer for result in stored} - {None}
    codes = {result.expect for result in stored} - {"ok"}

    assert layers == set(LAYERS)
    assert codes <= set(by_code())


def test_a_vector_is_named_like_its_file() -> None:
    """Names are unique, because file names are."""
    misnamed = [file.name for file in STORED.glob("*.json") if f'"name": "{file.stem}"' not in file.read_text()[:200]]

    assert misnamed == []


def test_a_fresh_set_gives_the_same_names_codes_and_layers(stored: tuple[VectorResult, ...], tmp_path: Path) -> None:
    """Signatures, content keys and encapsulations are random; what must come out is not."""
    subprocess.run([sys.executable, str(HERE / "generate.py"), str(tmp_path)], check=True, timeout=120)
    fresh = run_vectors(tmp_path)

    assert [result for result in fresh if not result.passed] == []
    assert _expected(fresh) == _expected(stored)


def test_the_generator_overwrites_nothing(tmp_path: Path) -> None:
    """Into a folder that holds a vector already it writes no second one of that name."""
    kept = tmp_path / "ordinary-message.json"
    kept.write_text("{}")
    run = subprocess.run(
        [sys.executable, str(HERE / "generate.py"), str(tmp_path)], check=False, capture_output=True, timeout=120
    )

    assert run.returncode != 0
    assert kept.read_text() == "{}"


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"expect": "padding", "layer": "padding"}, ("ok", None)),
        ({"message": {"header": {}, "body": {}}}, ("another message", None)),
        ({"now": "2027-11-22T03:00:00.000Z"}, ("key-expired", "sender")),
    ],
    ids=["another code", "another message", "another time"],
)
def test_what_comes_out_otherwise_is_a_failure(
    tmp_path: Path, change: dict[str, Any], got: tuple[str, str | None]
) -> None:
    """The runner tells what came out and does not pass it."""
    file = tmp_path / "changed.json"
    file.write_text(json.dumps({**json.loads((STORED / "ordinary-message.json").read_bytes()), **change}))
    (result,) = run_vectors(file)

    assert not result.passed
    assert (result.got, result.got_layer) == got


def test_a_file_that_is_no_vector_is_named(tmp_path: Path) -> None:
    """The error names the file and quotes nothing of it."""
    file = tmp_path / "broken.json"
    file.write_text('{"name": "secret"}')

    with pytest.raises(ValueError, match=r"^broken\.json is not a vector: KeyError$"):
        read_vector(file)
