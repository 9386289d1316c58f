# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The reference for people, made of the catalogue's data alone: procedures, messages, parts, codes, with their sources.

- `pages` returns every page by its path below ``schemas/``; ``README.md`` is where a reader starts.
- A page of its own for each procedure, one for each kind of shared thing; a test follows every link between them.
- What is unverified or a product default says so wherever it stands, and stands together on one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broker.catalogue.bundle import HEADER, SUBMISSION, Bundle
from broker.catalogue.families import SHARED
from broker.catalogue.reference.checks import to_check_page
from broker.catalogue.reference.fields import code_section, schema_section
from broker.catalogue.reference.markdown import anchor, table
from broker.catalogue.reference.overview import bases_page, deadlines_page, overview
from broker.catalogue.reference.procedure import procedure_page
from broker.catalogue.reference.safeguards import safeguards_page
from broker.core.ids import MessageType
from broker.core.safeguards import judged_types

__all__ = ["pages"]

Schema = Mapping[str, Any]


def pages(bundle: Bundle, law: Mapping[str, Mapping[str, Any]]) -> Mapping[str, str]:
    """Return the pages in Markdown by path: the newest table and schema of each kind, every part and every list.

    Args:
        bundle: what is described.
        law: what the abbreviations of sources stand for, and what holds each safeguard.
    """
    newest = {item.procedure: item for item in sorted(bundle.tables.values(), key=lambda item: item.version.key)}
    tables = [newest[name] for name in sorted(newest)]
    messages = {
        kind: bundle.documents[path]
        for (kind, _), path in sorted(bundle.messages.items(), key=lambda item: (item[0][0], item[0][1].key))
    }
    own = {kind: data for kind, data in messages.items() if not _is_shared(data)}
    acts = {path.split("/")[2]: data for path, data in sorted(bundle.documents.items()) if path.startswith(SHARED)}
    bases = bundle.codes["legal-basis"]
    found = {
        "README.md": overview(bundle, tables, law["sources"]),
        "reference/deadlines.md": deadlines_page(tables),
        "reference/bases.md": bases_page(tables, bases),
        "reference/safeguards.md": safeguards_page(law["safeguards"], judged_types()),
        "reference/messages.md": _messages(messages, frozenset(newest)),
        "reference/header.md": _header(bundle, {str(kind): own[kind] for kind in own if kind.procedure not in newest}),
        "reference/acts.md": _acts(acts),
        "reference/parts.md": _parts(bundle),
        "reference/codes.md": _codes(bundle),
        "reference/to-check.md": to_check_page(bundle, tables),
    }
    for item in tables:
        of_it = {str(kind): data for kind, data in own.items() if kind.procedure == item.procedure}
        found[f"reference/procedures/{item.procedure}.md"] = procedure_page(item, of_it, frozenset(acts), bases)
    return {path: "\n".join(line for line in lines if line) for path, lines in found.items()}


def _messages(messages: Mapping[MessageType, Schema], procedures: frozenset[str]) -> Iterator[str]:
    yield f"# Every type of message: {len(messages)}\n"
    yield "Those that share an act have its fields, on the legal bases of their procedure. [Overview](../README.md)\n"
    yield table(
        ("type", "version", "is", "shared"),
        (
            (
                f"[`{kind}`]({_place(kind, data, procedures)})",
                str(data["x-trm-version"]),
                str(data["title"]),
                "yes" if _is_shared(data) else "",
            )
            for kind, data in messages.items()
        ),
    )


def _place(kind: MessageType, data: Schema, procedures: frozenset[str]) -> str:
    if _is_shared(data):
        return f"acts.md#{anchor(kind.act)}"
    page = f"procedures/{kind.procedure}.md" if kind.procedure in procedures else "header.md"
    return f"{page}#{anchor(kind)}"


def _header(bundle: Bundle, between_nodes: Mapping[str, Schema]) -> Iterator[str]:
    yield "# What every message says of itself\n"
    yield "[Overview](../README.md)\n"
    yield from schema_section("header", bundle.documents[HEADER], "")
    yield from schema_section("submission", bundle.documents[SUBMISSION], "")
    yield "## What nodes tell each other\n"
    for kind, data in between_nodes.items():
        yield from schema_section(kind, data, "")


def _acts(acts: Mapping[str, Schema]) -> Iterator[str]:
    yield "# Shared acts\n"
    yield "Acts that procedures have in common; the message type is `<procedure>.<act>`. [Overview](../README.md)\n"
    for name, data in acts.items():
        yield from schema_section(name, data, "")


def _parts(bundle: Bundle) -> Iterator[str]:
    yield "# Parts\n"
    yield (
        "What messages are composed of. A *fact* is the value, or that it is unknown, not applicable, or withheld for a reason. "
        "[Overview](../README.md)\n"
    )
    for path, data in sorted(bundle.documents.items()):
        if path.startswith("parts/") and not path.startswith(SHARED):
            yield from schema_section(path.removeprefix("parts/").removesuffix(".json"), data, "")


def _codes(bundle: Bundle) -> Iterator[str]:
    yield "# Code lists\n"
    yield "A code never changes its meaning. [Overview](../README.md)\n"
    for name in sorted(bundle.codes):
        yield from code_section(bundle.codes[name], str(bundle.documents[f"codes/{name}.json"]["description"]))


def _is_shared(data: Schema) -> bool:
    return str(data.get("$ref", "")).startswith(f"/{SHARED}")
