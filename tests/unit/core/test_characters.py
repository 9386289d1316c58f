# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Names and lines are judged alike whatever version of Unicode this Python knows.

The digests stand for every code point there is: a Python on which one of them differs would split the federation.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable

import pytest

from broker.core.characters import is_composed, is_hidden, is_line, spelled_out, without_case
from broker.schema_files import read_schema_file

EVERY = tuple(chr(number) for number in range(0x110000) if not 0xD800 <= number < 0xE000)


def _digest(judge: Callable[[str], object]) -> str:
    return hashlib.sha256("\n".join(str(judge(letter)) for letter in EVERY).encode()).hexdigest()


@pytest.mark.parametrize(
    ("judge", "digest"),
    [
        (lambda letter: int(is_hidden(letter)), "a81a989c68c87fe5dc851d45ef169308d248de241402e8cd929da1e442f807d0"),
        (lambda letter: int(is_composed(letter)), "bc529ed83e6f3542b1ebad250be0bd3b96c597cb6951dc51cf0bae70b7272bcb"),
        (
            lambda letter: int(is_composed(f"a{letter}\u0301\u0323")),
            "12b7865e5990ba600bdc7ed3b85c09bfa49300405fc5558460c7bc0dd5e80da3",
        ),
        (without_case, "3ef28dd660f5da8f051675be160183f419346792f664595a6a4dcef43552311a"),
    ],
    ids=["hidden", "composed", "composed between marks", "case"],
)
def test_every_python_judges_every_code_point_alike(judge: Callable[[str], object], digest: str) -> None:
    """Unicode 14 of Python 3.11, 15.0 of 3.12 and 15.1 of 3.13 give the same."""
    assert _digest(judge) == digest


def test_what_this_unicode_assigns_is_hidden_by_its_category() -> None:
    """The list is exactly the controls, formats, separators and private characters that are known, and none else."""
    hidden = {"Cc", "Cf", "Co", "Zl", "Zp", "Zs"}
    for letter in EVERY:
        category = unicodedata.category(letter)
        if category != "Cn":
            assert is_hidden(letter) is (category in hidden and letter != " "), hex(ord(letter))


def test_the_protocol_lists_the_same_code_points() -> None:
    """An implementation from the document alone refuses the same."""
    section = read_schema_file("PROTOCOL.md").decode().partition("**2.5 ")[2].partition("\n## ")[0]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("|")][2:]
    listed = {number for plane in range(17) for number in (plane * 0x10000 + 0xFFFE, plane * 0x10000 + 0xFFFF)}
    for first, last in re.findall(r"\b([0-9A-F]{4,6})(?:–([0-9A-F]{4,6}))?\b", " ".join(rows)):
        listed |= set(range(int(first, 16), int(last or first, 16) + 1))

    assert {number for number in range(0x110000) if is_hidden(chr(number))} == listed


@pytest.mark.parametrize("letter", ["\u0378", "\U00011f02", "\U0001e4d0", "\U000105c9", "\U000e1000", "\U0003fffd"])
def test_a_letter_that_only_a_newer_unicode_knows_is_taken(letter: str) -> None:
    """It shows, and asks for no composition or case of its own."""
    assert is_line(f"a {letter}")
    assert is_composed(f"{letter}\u0301")
    assert without_case(letter) == letter


def test_composition_and_case_of_known_letters_count() -> None:
    """Also where a letter that is not known stands between."""
    assert is_composed("Õ ß 名\u0301")
    assert not is_composed("O\u0303")
    assert not is_composed("\U00011f02 o\u0303")
    assert without_case("ÕUN STRASSE Ω") == without_case("õun straße ω")


@pytest.mark.parametrize(
    "text", ["", " ", "   ", "a\nb", "a\u00a0b", "\u3000", "a\u202eb", "a\x7f", "\ue000", "\ufffe"]
)
def test_what_is_no_line_is_none(text: str) -> None:
    """Blank, broken, or with something that does not show."""
    assert not is_line(text)


def test_what_could_steer_a_screen_is_spelled_out_and_nothing_is_lost() -> None:
    """A document keeps every value; ordinary spaces and letters of every script stay as they are."""
    said = "ليلى 名\u3000\u00a0\U0001f33b\u202e\u2028\x9b\U000e0041\ufeff"
    document = spelled_out(json.dumps({"said": said}, ensure_ascii=False))

    assert document == '{"said": "ليلى 名\u3000\u00a0\U0001f33b\\u202e\\u2028\\u009b\\udb40\\udc41\\ufeff"}'
    assert json.loads(document) == {"said": said}
    assert spelled_out("a\tb\x1b", keep="\t") == "a\tb\\u001b"
