# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The page of all safeguards: each rule, what holds it and where that is tested, and what is not held yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from broker.catalogue.reference.markdown import names, source_cell, table

__all__ = ["safeguards_page"]

_BY = {
    "safeguard": "decides before a message leaves",
    "schema": "the message's form allows nothing else",
    "procedure": "the procedure's table",
    "node": "the node itself",
}


def safeguards_page(rules: Mapping[str, Mapping[str, Any]], judged: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the page's lines.

    Args:
        rules: every rule by its number.
        judged: the types of messages that a rule judges by their own body.
    """
    yield "# Every safeguard\n"
    yield (
        "A block is lifted by nobody: only other facts make another message. A hold is decided by a second person, with a reason.\n"
        "Unknown is never read as safe. [Overview](../README.md)\n"
    )
    yield table(("held by", "that is"), _BY.items())
    for number, rule in rules.items():
        yield f"## {number}\n"
        yield f"**{rule['rule']}.** Source: {source_cell(rule['source'], rule.get('verified', True))}\n"
        yield table(
            ("held by", "how", "tested in"), ((item["by"], item["how"], f"`{item['test']}`") for item in rule["held"])
        )
        if number in judged:
            yield f"Judges by their own body: {names(judged[number])}.\n"
        if "later" in rule:
            yield f"Not held here yet: {rule['later']}.\n"
