# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A reader written from the specification alone comes to the same code and layer on every stored vector."""

import ast
import base64
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core import canonical
from broker.core.errors import NotCanonical
from broker.testing.vectors import read_vector, run_vector

HERE = Path(__file__).parent
SOURCE = HERE / "reader.py"
VECTORS = sorted((HERE / "envelope").glob("*.json"))


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """The second reader."""
    spec = importlib.util.spec_from_file_location("second_reader", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_second_reader_agrees_on_every_vector(reader: ModuleType) -> None:
    """Same layer and code, or the same content."""
    different = []
    for file in VECTORS:
        vector = json.loads(file.read_bytes())
        try:
            content = json.loads(reader.read(vector))
            got = ("ok", None) if content == vector["message"] else ("another message", None)
        except reader.Refused as refused:
            got = (refused.code, refused.layer)
        if got != (vector["expect"], vector["layer"]):
            different.append((vector["name"], got))

    assert len(VECTORS) > 90
    assert different == []


def test_the_second_reader_shares_nothing_with_the_product() -> None:
    """It imports the standard library and the cryptographic library."""
    nodes = ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8")))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]

    assert modules
    assert not any(module.startswith("broker") for module in modules)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_both_readers_agree_on_any_changed_byte(reader: ModuleType, data: st.DataObject) -> None:
    """Whatever byte of a good envelope is changed, to whatever, code and layer are the same."""
    file = HERE / "envelope" / "ordinary-message.json"
    product, plain = read_vector(file), json.loads(file.read_bytes())
    raw = bytearray(product.raw)
    at = data.draw(st.integers(0, 120) | st.integers(len(raw) - 2500, len(raw) - 1) | st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))

    result = run_vector(replace(product, raw=bytes(raw)))
    with pytest.raises(reader.Refused) as caught:
        reader.read({**plain, "envelope": base64.urlsafe_b64encode(raw).decode().rstrip("=")})
    assert (caught.value.code, caught.value.layer) == (result.got, result.got_layer)


pieces = st.sampled_from(
    ["{", "}", "[", "]", ":", ",", '"', "\\", "u00e4", "n", "a", "ä", "\u2028", "\x01", "0", "1", "-", ".", "e", "9" * 16,
     "true", "null", " ", '"a":1', '"b":[]']
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.lists(pieces, max_size=12).map(lambda parts: "".join(parts).encode()) | st.binary(max_size=12))
def test_both_readers_agree_on_what_is_canonical(reader: ModuleType, raw: bytes) -> None:
    """Two parsers, one verdict and one value."""
    try:
        value = canonical.parse(raw)
    except NotCanonical:
        with pytest.raises(reader.Refused):
            reader.canonical(raw, "outer")
        return
    assert reader.canonical(raw, "outer") == value
