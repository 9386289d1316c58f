# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Stored vectors of attachments give what they say, to the product and to a reader written from the specification."""

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker.core.attachments import Attachment, decode_attachments
from broker.core.canonical import b64url_decode, b64url_encode
from broker.core.errors import AttachmentRefused, AttachmentSpoiled, BrokerError, ChunkUnknown, NotForUs
from broker.core.file_types import FileInspector
from broker.security.chunks import handle_of, open_chunk, parse_chunk, seal_chunk

HERE = Path(__file__).parent
FILES = sorted((HERE / "attachments").glob("*.json"))
LAYERS = {"size", "shape", "recipient", "known", "decrypt", "padding", "whole"}


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """The second reader."""
    spec = importlib.util.spec_from_file_location("attachment_reader", HERE / "attachment_reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _product(vector: dict[str, Any]) -> bytes | None:
    (attachment,) = decode_attachments([vector["attachment"]])
    held: dict[int, bytes] = {}
    for text in vector["chunks"]:
        index, plain = _one(vector, b64url_decode(text) + b"\x00" * vector.get("pad", 0), attachment)
        held[index] = plain
    if len(held) < attachment.chunks:
        return None
    inspector = FileInspector()
    for index in range(attachment.chunks):
        inspector.feed(held[index])
    try:
        fits = inspector.digest == attachment.digest and inspector.media_type() == attachment.media_type
    except AttachmentRefused:
        fits = False
    if not fits:
        raise AttachmentSpoiled
    return b"".join(held[index] for index in range(attachment.chunks))


def _one(vector: dict[str, Any], raw: bytes, attachment: Attachment) -> tuple[int, bytes]:
    name, message = parse_chunk(raw), vector["message"]
    if name.recipient != vector["us"]:
        raise NotForUs
    if vector["user"] not in {None, name.sender} or (name.sender, name.message) != (message["from"], message["id"]):
        raise ChunkUnknown
    return name.index, open_chunk(raw, attachment)


def _outcome(read: Callable[[], bytes | None], refused: type[Exception]) -> tuple[str, str | None]:
    try:
        plain = read()
    except refused as error:
        return str(getattr(error, "code", "")), None
    return "ok", None if plain is None else b64url_encode(plain)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_product_gives_what_the_vector_says(file: Path) -> None:
    """Each chunk is taken whole, or refused with the code that its file names."""
    vector = json.loads(file.read_bytes())

    assert _outcome(lambda: _product(vector), BrokerError) == (vector["expect"], vector.get("plain"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_second_reader_agrees(reader: ModuleType, file: Path) -> None:
    """Same code, same layer, or the same bytes."""
    vector = json.loads(file.read_bytes())

    assert _outcome(lambda: reader.read(vector), reader.Refused) == (vector["expect"], vector.get("plain"))
    if vector["layer"] is not None:
        with pytest.raises(reader.Refused) as caught:
            reader.read(vector)
        assert caught.value.layer == vector["layer"]


def test_the_second_reader_shares_nothing_with_the_product() -> None:
    """It imports the standard library and the cryptographic library."""
    nodes = ast.walk(ast.parse((HERE / "attachment_reader.py").read_text(encoding="utf-8")))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]

    assert modules
    assert not any(module.startswith("broker") for module in modules)


def test_every_layer_refuses_something_and_enough_is_taken() -> None:
    """No check is without a vector."""
    vectors = [json.loads(file.read_bytes()) for file in FILES]

    assert {vector["layer"] for vector in vectors} - {None} == LAYERS
    assert sum(vector["expect"] == "ok" for vector in vectors) >= 8


def test_a_fresh_set_is_the_stored_one(tmp_path: Path) -> None:
    """Nothing in a chunk is random once its key is given."""
    subprocess.run([sys.executable, str(HERE / "attachment_cases.py"), str(tmp_path)], check=True, timeout=120)

    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        file.name: file.read_bytes() for file in FILES
    }


def test_the_product_writes_the_chunks_of_the_vectors() -> None:
    """What is sealed here is byte for byte what the specification gives."""
    vector = json.loads((HERE / "attachments" / "one-chunk.json").read_bytes())
    (attachment,) = decode_attachments([vector["attachment"]])
    message = vector["message"]

    made = seal_chunk(
        b64url_decode(vector["plain"]), attachment, 0,
        sender=message["from"], recipient=message["to"], message=message["id"],
    )  # fmt: skip

    assert [b64url_encode(made.raw)] == vector["chunks"]
    assert parse_chunk(made.raw).handle == handle_of(attachment)
