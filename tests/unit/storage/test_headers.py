# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from broker.core.content import encode
from broker.core.errors import StoreCorrupt
from broker.storage import headers
from broker.testing.store_rows import outgoing


def test_a_header_comes_back_as_it_was() -> None:
    """And its bytes are those inside the message's content."""
    entry = outgoing(1)
    raw = headers.of_content(entry.content)
    assert headers.from_bytes(raw) == entry.header
    assert orjson.loads(raw) == orjson.loads(entry.content)["header"]


def test_no_text_is_taken_for_a_header() -> None:
    """Whoever writes a text like one, before or in the header, finds the real one kept."""
    text = 'x","header":{"id":"other"},"header":'
    header = replace(outgoing(1).header, purpose=text)
    assert headers.from_bytes(headers.of_content(encode(header, {"said": text}))) == header


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"id":1}', b"\xff"])
def test_other_bytes_are_corruption(raw: bytes) -> None:
    """Not the sender's fault: this node stored it."""
    with pytest.raises(StoreCorrupt):
        headers.from_bytes(raw)
