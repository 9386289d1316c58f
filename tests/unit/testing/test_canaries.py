# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The search for names sees through what only looks unreadable."""

from __future__ import annotations

import json
import unicodedata
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from broker.testing.canaries import CANARIES, found, found_deep, plant_everywhere


def test_a_name_is_found_below_several_layers() -> None:
    """As an envelope nests them: base64 of a JSON object that holds base64 of another; clear bytes stay searched."""
    content = json.dumps({"words": CANARIES[0], "more": "x" * 40}).encode()
    signed = json.dumps({"payload": urlsafe_b64encode(content).rstrip(b"=").decode()}).encode()
    envelope = json.dumps({"ciphertext": b64encode(b"\xff\xfe" + signed).decode(), "to": CANARIES[1]}).encode()

    assert found(envelope) == {CANARIES[1]}
    assert found_deep(envelope) == {CANARIES[0], CANARIES[1]}
    assert found_deep(b"An invented text of nobody. " * 20) == set()


@pytest.mark.parametrize("name", CANARIES)
def test_the_search_finds_each_spelling(name: str) -> None:
    """Raw, escaped, percent-encoded, in base64 at any place, in capitals or decomposed: the search finds the name."""
    around = "Vanem: {} (leitud)"
    for text in (name, unicodedata.normalize("NFD", name), name.upper()):
        said = around.format(text)
        for content in (
            said.encode(),
            json.dumps(said).encode(),
            quote(said).encode(),
            b64encode(said.encode()),
            b64encode(b"x" + said.encode()),
            urlsafe_b64encode(b"xx" + said.encode()),
            said.encode("utf-16-le"),
            repr(said.encode()).encode(),
        ):
            assert name in found(content), content
    assert found(around.format("Test-Maarika Näidis").encode()) == set()


def test_a_name_is_planted_in_every_text_however_deep() -> None:
    """In lists and objects within each other; what is no text stays, and so does what was given."""
    said = {"name": "a", "list": ["b", {"deep": "c"}, ["d"]], "number": 1, "truth": True, "nothing": None}
    before = json.dumps(said)
    planted, count = plant_everywhere(said)

    assert count == 4
    assert [planted["name"], planted["list"][0], planted["list"][1]["deep"], planted["list"][2][0]] == [*CANARIES[:4]]
    assert (planted["number"], planted["truth"], planted["nothing"]) == (1, True, None)
    assert json.dumps(said) == before
