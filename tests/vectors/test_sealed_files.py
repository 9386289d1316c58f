# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Stored vectors of sealed files give what they say, to the product and to a reader written from the specification."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker.core.canonical import b64url_decode, b64url_encode
from broker.core.errors import BrokerError
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.sealed.files import open_file
from broker.security import jwk
from broker.security.suite import KeyRing

HERE = Path(__file__).parent
FILES = sorted((HERE / "sealed_files").glob("*.json"))
LAYERS = {
    "members", "head", "header", "lengths", "place", "held", "padding", "inside", "name", "segments", "whole",
}  # fmt: skip


@pytest.fixture(scope="module")
def reader() -> Iterator[ModuleType]:
    """The second reader, which builds on that of sealed parts beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        import sealed_file_reader

        yield sealed_file_reader


def _party(value: dict[str, str]) -> Party:
    return Party(country=CountryCode(value["country"]), authority=AuthorityId(value["authority"]))


def _product(vector: dict[str, Any]) -> tuple[str, str | None]:
    seeds = [jwk.seed_from_jwk(item["jwk"]) for item in vector["held"]]
    opener, opened = KeyRing({jwk.thumbprint(use, jwk.public_of(use, seed)): seed for use, seed in seeds}), io.BytesIO()
    try:
        open_file(
            io.BytesIO(b64url_decode(vector["file"])), opened, opener=opener, sender=_party(vector["sender"]),
            recipient=_party(vector["recipient"]),
        )  # fmt: skip
    except BrokerError as error:
        return error.code, None
    return "ok", b64url_encode(opened.getvalue())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_product_gives_what_the_vector_says(file: Path) -> None:
    """The file in clear, or the code that its vector names."""
    vector = json.loads(file.read_bytes())
    assert _product(vector) == (vector["expect"], vector.get("plain"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_second_reader_agrees(reader: ModuleType, file: Path) -> None:
    """Same code, same layer, or the same bytes."""
    vector = json.loads(file.read_bytes())
    try:
        got: tuple[str, str | None, str | None] = ("ok", None, b64url_encode(reader.read(vector)))
    except reader.Refused as error:
        got = (error.code, error.layer, None)
    assert got == (vector["expect"], vector["layer"], vector.get("plain"))


def test_every_layer_refuses_something() -> None:
    """No check is without a vector."""
    vectors = [json.loads(file.read_bytes()) for file in FILES]
    assert {vector["layer"] for vector in vectors} - {None} == LAYERS
    assert sum(vector["expect"] == "ok" for vector in vectors) >= 4


def test_a_fresh_set_gives_the_same(tmp_path: Path) -> None:
    """Its bytes are others, its names, codes and layers are the stored ones."""
    subprocess.run([sys.executable, str(HERE / "sealed_file_cases.py"), str(tmp_path)], check=True, timeout=120)
    fresh = [json.loads(file.read_bytes()) for file in sorted(tmp_path.iterdir())]
    stored = [json.loads(file.read_bytes()) for file in FILES]
    told = ("name", "expect", "layer", "plain")
    assert [[vector.get(name) for name in told] for vector in fresh] == [
        [vector.get(name) for name in told] for vector in stored
    ]
    assert all(_product(vector)[0] == vector["expect"] for vector in fresh)
