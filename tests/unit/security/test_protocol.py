# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The specification says what the code does: codes, fates, layers, sizes and example bytes."""

import re
from pathlib import Path

from broker.core import file_types
from broker.core.canonical import MAX_DEPTH
from broker.core.errors import by_code
from broker.core.receipts import MAX_HEADS, MAX_RECEIPTS
from broker.security import envelope, primitives, sealing, suite
from broker.testing.vectors import LAYERS
from broker.trust import federation_documents, member_documents, strict

PROTOCOL = (Path(__file__).parents[3] / "schemas" / "PROTOCOL.md").read_text(encoding="utf-8")
SECTION_8 = PROTOCOL[PROTOCOL.index("## 8.") : PROTOCOL.index("## 9.")]
ROW = re.compile(r"^\| *(8\.\d+)? *\| (\w+) \| .* \| `([a-z-]+)` \| (\w+) \|$", re.MULTILINE)


def test_each_check_has_the_codes_fate() -> None:
    """The table of checks agrees with the error tree."""
    rows = ROW.findall(SECTION_8)
    errors = by_code()

    assert len(rows) >= 25
    assert {code: fate for _, _, code, fate in rows} == {code: errors[code].fate for _, _, code, _ in rows}


def test_layers_stand_in_the_order_of_the_checks() -> None:
    """The table, the list of section 12 and the runner name the same layers in the same order."""
    layers = [layer for _, layer, _, _ in ROW.findall(SECTION_8)]

    assert tuple(dict.fromkeys(layers)) == LAYERS
    assert layers == sorted(layers, key=LAYERS.index)
    assert f"`{' '.join(LAYERS)}`" in PROTOCOL


def test_clauses_count_up() -> None:
    """Code cites them by number."""
    numbers = [clause for clause, _, _, _ in ROW.findall(SECTION_8) if clause]

    assert numbers == [f"8.{n}" for n in range(1, 17)]


def test_every_clause_that_the_code_cites_exists() -> None:
    """A citation that leads nowhere is worse than none."""
    sources = [envelope, primitives, sealing, suite]
    cited = {
        clause
        for module in sources
        for clause in re.findall(r"PROTOCOL (\d+\.\d+)", Path(module.__file__ or "").read_text(encoding="utf-8"))
    }

    assert len(cited) > 15
    for clause in cited:
        assert f"**{clause}" in PROTOCOL or f"| {clause} |" in PROTOCOL


def test_numbers_are_the_codes() -> None:
    """Sizes and counts stand in the text as they stand in the code."""
    for number in (
        envelope.MAX_ENVELOPE,
        envelope.MAX_CONTENT,
        envelope.PADDED_LENGTHS[0],
        envelope.PADDED_LENGTHS[-1],
        suite.EK_LENGTH,
        *suite.SIGNATURE_LENGTHS,
        *primitives.PUBLIC_LENGTHS.values(),
    ):
        assert f"{number:,}" in PROTOCOL
    assert f"at most {MAX_DEPTH} deep" in PROTOCOL
    assert f"1 to {MAX_RECEIPTS} receipts" in PROTOCOL
    assert f"at most {MAX_HEADS}" in PROTOCOL
    assert f"at most {sealing.LONGEST_LIFE.days} days and ten minutes" in PROTOCOL
    assert suite.HPKE_INFO.hex() in PROTOCOL


def test_what_makes_a_file_of_its_type_stands_in_the_text() -> None:
    """A sender that could not read it would send files that are never delivered."""
    section = PROTOCOL[PROTOCOL.index("**15.6a") : PROTOCOL.index("**15.7")]
    for number in (file_types._HEAD, file_types._TAIL, file_types._MAX_ENTRIES, file_types._MAX_UNPACKED, 65_557):
        assert f"{number:,}" in section
    for sign in file_types._ACTIVE:
        assert f"`{sign}`" in section
    for beginning, media_type in file_types._BEGINNINGS:
        ascii_name = f"`{beginning.rstrip(bytes([1])).decode('latin-1')}`"
        assert ascii_name in section or f"`{beginning.hex()}`" in section, media_type


def test_bounds_of_a_members_document_stand_in_the_text() -> None:
    """Whoever breaks one keeps the document before in force, and a revoked key with it."""
    section = PROTOCOL[PROTOCOL.index("**13.4") : PROTOCOL.index("**13.5")]
    for number in (
        strict.MAX_ITEMS,
        member_documents._MAX_TYPES,
        member_documents._MAX_NAME,
        member_documents._MAX_CONTACT,
        federation_documents._MAX_TEXT,
    ):
        assert f"{number:,}" in section
    for pattern in (member_documents._LANGUAGE, member_documents._COMPETENCE, member_documents._ZONE):
        assert f"`{pattern.pattern.replace('(?:', '(')}`" in section
