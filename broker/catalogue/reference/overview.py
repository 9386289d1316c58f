# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The first page: what there is, how far to rely on it, and where to read on, for somebody who knows law and no code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from broker.catalogue.bundle import Bundle, CodeList
from broker.catalogue.reference.markdown import Row, names, source_cell, table
from broker.catalogue.reference.procedure import DEADLINE_HEAD, SILENCE, deadline_row
from broker.core.deadlines import DeadlineKind
from broker.core.procedures import ProcedureTable, Silence

__all__ = ["bases_page", "deadlines_page", "overview"]

_HEAD = """# What countries may say to each other here

Every procedure, message, code and clock of this product, with the law that each comes from. This page and the folder
[`reference/`](reference) are made from the files of this folder by `python -m broker.manual`; a test holds them current. Who writes
such files or a program that reads them, starts with [`LANGUAGE.md`](LANGUAGE.md); how messages travel stands in
[`PROTOCOL.md`](PROTOCOL.md).
"""
_MARKS = """## How far to rely on it

None of this is legal advice. Each procedure, field, code and deadline names its source, so that it can be checked.

| mark | means |
|---|---|
| statutory | a time that a law of the European Union or of a State sets |
| convention | a time that a convention sets |
| agreed | a time that the two offices agreed on |
| **product default** | the design of this product and no law; it binds nobody |
| **unverified** | taken from a secondary source or not read in the source itself |
| no mark | read in the source that is named |

A deadline is shown and never acts: nothing happens when it passes, and silence is never an answer. [What a lawyer should check
first](reference/to-check.md) lists everything that is unverified or a product default.
"""
_KIND_ORDER = ("EU_LAW", "CONVENTION", "NATIONAL_LAW", "GUIDANCE", "STANDARD", "PRODUCT")
_KIND_WORDS = {
    "EU_LAW": "law of the European Union",
    "CONVENTION": "convention",
    "NATIONAL_LAW": "national law",
    "GUIDANCE": "guidance, no law",
    "STANDARD": "technical standard",
    "PRODUCT": "this product, no law",
}


def overview(
    bundle: Bundle, tables: Sequence[ProcedureTable], sources: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield the lines of the first page."""
    yield _HEAD
    yield _counts(bundle, tables)
    yield _MARKS
    yield "## Procedures\n"
    head = ("procedure", "what it is for", "legal bases", "statutory or convention times")
    yield table(head, map(_procedure, tables))
    yield "## Who takes part\n"
    yield (
        "A procedure has two sides, the country that asks (requesting) and the one that is asked (requested). On each side offices\n"
        "take part in these roles; `participant-change` changes them.\n"
    )
    yield table(("role", "means"), _titles(bundle.codes["participant-role"]))
    yield "## What silence means\n"
    yield (
        "On every legal basis but these, no answer is no answer and nothing follows from it; [all bases](reference/bases.md) say so one by\n"
        "one. Nothing in this product ever reads silence as consent.\n"
    )
    yield table(("procedure", "legal basis", "silence means", "source"), _telling_silences(tables))
    yield "## Times that a law or a convention sets\n"
    yield "The product's own proposals stand beside these in [all deadlines](reference/deadlines.md).\n"
    yield table(("procedure", *DEADLINE_HEAD), _binding(tables))
    yield _READ_ON
    yield "## Sources\n"
    order = sorted(sources.items(), key=lambda item: _KIND_ORDER.index(item[1]["kind"]))
    yield table(
        ("written", "is", "kind"), ((f"{key}", item["title"], _KIND_WORDS[item["kind"]]) for key, item in order)
    )


_READ_ON = """## Read on

| page | holds |
|---|---|
| [`reference/deadlines.md`](reference/deadlines.md) | every deadline of every procedure |
| [`reference/bases.md`](reference/bases.md) | every legal basis, where it is used, what silence means on it |
| [`reference/safeguards.md`](reference/safeguards.md) | every safeguard, what it does, where it is held |
| [`reference/messages.md`](reference/messages.md) | every type of message |
| [`reference/acts.md`](reference/acts.md) | the acts that all procedures share, with their fields |
| [`reference/parts.md`](reference/parts.md) | what messages are composed of: person, address, danger assessment … |
| [`reference/codes.md`](reference/codes.md) | every code list |
| [`reference/header.md`](reference/header.md) | what every message says of itself, and what nodes tell each other |
| [`reference/to-check.md`](reference/to-check.md) | what is unverified or a product default |
"""


def deadlines_page(tables: Iterable[ProcedureTable]) -> Iterator[str]:
    """Yield the lines of the page of all deadlines."""
    yield "# Every deadline\n"
    yield (
        "Counted by Regulation 1182/71 in the requested side's calendar and time zone. **Product default** is a proposal of this\n"
        "product and no law. [Overview](../README.md)\n"
    )
    for item in tables:
        yield f"## [{item.title}](procedures/{item.procedure}.md)\n"
        yield table(DEADLINE_HEAD, map(deadline_row, item.deadlines)) or "None.\n"


def bases_page(tables: Sequence[ProcedureTable], bases: CodeList) -> Iterator[str]:
    """Yield the lines of the page of all legal bases."""
    yield "# Every legal basis\n"
    yield "Each message rests on one. [Overview](../README.md)\n"
    for code, item in bases.codes.items():
        used = [(found, found.bases[code]) for found in tables if code in found.bases]
        yield f"## {code}\n"
        cited = source_cell(item.get("source", ""), item.get("verified", True))
        yield f"**{item['title']}.** {f'Source: {cited}. ' if cited else ''}{'' if used else 'No procedure rests on it yet.'}\n"
        yield table(
            ("procedure", "silence means", "without consent where", "source"),
            (
                (
                    f"{_link(found, to='')}{' (notice only)' if basis.notice_only else ''}",
                    SILENCE[basis.silence],
                    names(sorted(basis.exemptions)),
                    source_cell(basis.source, basis.verified),
                )
                for found, basis in used
            ),
        )


def _counts(bundle: Bundle, tables: Sequence[ProcedureTable]) -> str:
    deadlines = [deadline for item in tables for deadline in item.deadlines]
    kinds = Counter(deadline.kind for deadline in deadlines)
    return (
        f"**{len(tables)} procedures · {len({kind for kind, _ in bundle.messages})} message types · {len(bundle.codes)} code lists with "
        f"{sum(len(item.codes) for item in bundle.codes.values())} codes · {len(deadlines)} deadlines**, of which "
        f"{kinds[DeadlineKind.STATUTORY]} statutory, {kinds[DeadlineKind.CONVENTION]} of conventions, "
        f"{kinds[DeadlineKind.AGREED]} agreed between offices and {kinds[DeadlineKind.PRODUCT_DEFAULT]} proposals of this product.\n"
    )


def _procedure(item: ProcedureTable) -> Row:
    binding = [deadline for deadline in item.deadlines if deadline.kind in _BINDING]
    times = "; ".join(dict.fromkeys(f"{deadline_row(deadline)[2]} ({deadline.title.lower()})" for deadline in binding))
    return _link(item), item.description, names(item.bases), times


_BINDING = (DeadlineKind.STATUTORY, DeadlineKind.CONVENTION)


def _binding(tables: Iterable[ProcedureTable]) -> Iterator[Row]:
    for item in tables:
        yield from ((_link(item), *deadline_row(found)) for found in item.deadlines if found.kind in _BINDING)


def _telling_silences(tables: Iterable[ProcedureTable]) -> Iterator[Row]:
    for item in tables:
        for code, basis in item.bases.items():
            if basis.silence is not Silence.NO_ANSWER:
                yield _link(item), f"`{code}`", SILENCE[basis.silence], source_cell(basis.source, basis.verified)


def _titles(codes: CodeList) -> Iterator[Row]:
    yield from ((f"`{code}`", str(item["title"])) for code, item in codes.codes.items())


def _link(item: ProcedureTable, to: str = "reference/") -> str:
    return f"[{item.title}]({to}procedures/{item.procedure}.md)"
