# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The list of traps is complete and names tests that exist; the example configuration fits the code."""

from __future__ import annotations

import re
from pathlib import Path

from broker.transport.topology import MAX_MESSAGE_BYTES

ROOT = Path(__file__).parents[3]
TRAPS = (ROOT / "deploy/rabbitmq/TRAPS.md").read_text()


def test_each_trap_has_its_line_with_an_answer() -> None:
    """Every number from 1 to 32, 26b to 26e and 31b stands once, with text behind it."""
    rows = re.findall(r"^\| (\d+[b-e]?) \| ([^|]+) \| ([^|]+) \|$", TRAPS, re.MULTILINE)
    assert [number for number, _, _ in rows] == [
        *map(str, range(1, 27)),
        "26b",
        "26c",
        "26d",
        "26e",
        *map(str, range(27, 32)),
        "31b",
        "32",
    ]
    assert all(len(answer.strip()) > 20 for _, _, answer in rows)


def test_each_test_that_the_list_names_exists() -> None:
    """A renamed test is noticed here."""
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", TRAPS)
    assert len(named) > 30
    for file, name in named:
        assert re.search(rf"^(async )?(def|class) {name}\b", (ROOT / file).read_text(), re.MULTILINE), (file, name)


def test_the_example_configuration_has_our_message_size() -> None:
    """The broker's limit is the one that the code reads by."""
    configuration = (ROOT / "deploy/rabbitmq/rabbitmq.conf").read_text()
    assert f"max_message_size = {MAX_MESSAGE_BYTES}\n" in configuration
