# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The page for the lawyer who checks: everything that is unverified, and everything that is the product's own design."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from broker.catalogue.bundle import Bundle
from broker.catalogue.reference.markdown import Row, table
from broker.core.deadlines import DeadlineKind
from broker.core.procedures import ProcedureTable

__all__ = ["to_check_page"]

_DEFAULT = "PRODUCT_DEFAULT"
_HEAD = ("where", "says", "source")


def to_check_page(bundle: Bundle, tables: Sequence[ProcedureTable]) -> Iterator[str]:
    """Yield the page's lines: what nobody has read in its source first, then what no law says."""
    marked = [*_of_tables(tables), *_of_documents(bundle)]
    yield "# What to check\n"
    yield "What this product says without having read it in the source, or of its own design. [Overview](../README.md)\n"
    for title, wanted in (("Unverified", False), ("Product defaults", _DEFAULT)):
        rows = [row for verified, row in marked if verified == wanted]
        yield f"## {title}: {len(rows)}\n"
        yield table(_HEAD, rows)


def _of_tables(tables: Sequence[ProcedureTable]) -> Iterator[tuple[bool | str, Row]]:
    for item in tables:
        where = f"[{item.procedure}](procedures/{item.procedure}.md)"
        for deadline in item.deadlines:
            verified = _DEFAULT if deadline.kind is DeadlineKind.PRODUCT_DEFAULT else deadline.verified
            yield verified, (f"{where}, deadline", deadline.title, deadline.source)
        for code, basis in item.bases.items():
            yield basis.verified, (f"{where}, silence on `{code}`", "what silence means", basis.source)


def _of_documents(bundle: Bundle) -> Iterator[tuple[bool | str, Row]]:
    for path, data in sorted(bundle.documents.items()):
        if str(data.get("$ref", "")).startswith("/parts/acts/"):
            continue  # a shared act under its procedure's name: once is enough
        place = path.removesuffix(".json")
        yield _verified(data), (f"`{place}`", str(data["title"]), str(data.get("x-trm-source", "")))
        for code, item in data.get("x-trm-codes", {}).items():
            yield item.get("verified", True), (f"`{place}` `{code}`", str(item["title"]), str(item.get("source", "")))
        yield from _of_fields(data, f"{place} ")


def _of_fields(schema: Any, at: str) -> Iterator[tuple[bool | str, Row]]:
    if not isinstance(schema, Mapping):
        return
    yield from _of_fields(schema.get("items"), at)
    for name, item in schema.get("properties", {}).items():
        place = at if name == "value" else f"{at}{'' if at.endswith(' ') else '.'}{name}"
        where, _, field = place.partition(" ")
        yield _verified(item), (f"`{where}` `{field}`", str(item.get("title", "")), str(item.get("x-trm-source", "")))
        yield from _of_fields(item, place)


def _verified(data: Mapping[str, Any]) -> bool | str:
    return data.get("x-trm-verified", True)  # type: ignore[no-any-return]  # the dialect holds what it may be
