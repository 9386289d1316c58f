# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The reference for people: complete, every link leads somewhere, and what is no law says so."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.catalogue.reference.conditions import conditions
from broker.catalogue.reference.markdown import anchor, joined, source_cell, table
from broker.core.deadlines import DeadlineKind
from broker.schema_files import load_catalogue, load_law

SCHEMAS = Path(__file__).parents[2] / "schemas"
_LINK = re.compile(r"\]\(([^)]+)\)")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue of this checkout."""
    return load_catalogue(SCHEMAS)


@pytest.fixture(scope="module")
def pages(catalogue: Catalogue) -> Mapping[str, str]:
    """The reference's pages by path."""
    return catalogue.pages(load_law(SCHEMAS))


def _section(page: str, name: str) -> str:
    return page.partition(f"### {name}\n")[2].partition("\n### ")[0]


def test_every_link_leads_to_a_heading(pages: Mapping[str, str]) -> None:
    """Each link of each page names a file of the folder, and a heading that stands in it once."""
    headings = {
        path: [anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")]
        for path, text in pages.items()
    }
    lost = []
    for path, text in pages.items():
        for target in set(_LINK.findall(text)):
            file, _, place = target.partition("#")
            parts: list[str] = []
            for step in (
                (*PurePosixPath(path).parent.parts, *PurePosixPath(file).parts) if file else PurePosixPath(path).parts
            ):
                parts = parts[:-1] if step == ".." else [*parts, step]
            page = "/".join(parts)
            there = headings.get(page, []).count(place) == 1 if place else page in pages or (SCHEMAS / page).exists()
            lost += [] if there else [f"{path}: {target}"]

    assert lost == []


def test_nothing_of_the_catalogue_is_left_out(catalogue: Catalogue, pages: Mapping[str, str]) -> None:
    """Each procedure, type, list, code and deadline stands where a reader looks for it."""
    first = pages["README.md"]
    for item in catalogue.tables():
        page = pages[f"reference/procedures/{item.procedure}.md"]
        assert f"reference/procedures/{item.procedure}.md" in first
        assert item.description
        assert item.description in first
        assert item.description in page
        assert "stateDiagram-v2" in page
        assert all(f"| {deadline.title} |" in page for deadline in item.deadlines)
        assert all(deadline.silence in page for deadline in item.deadlines)
        assert all(f"| `{code}`" in page for code in item.bases)
        assert all(f"| [{act}](" in page for act in item.acts)
    assert all(f"[`{kind}`](" in pages["reference/messages.md"] for kind in catalogue.types())
    for name in catalogue.code_lists():
        section = _section(pages["reference/codes.md"], name)
        assert all(f"| `{code}` |" in section for code in catalogue.codes(name).codes), name


def test_every_field_stands_in_its_message(pages: Mapping[str, str]) -> None:
    """Fields of a field are named by their whole way, those of an entry with brackets."""
    section = _section(pages["reference/procedures/placement.md"], "placement.decision")

    assert "| `period.until` | Until | fact: [date](../parts.md#date) | yes | B2b recital 83 |" in section
    assert "- If `consent` is `CONSENT_NOT_REQUIRED`: `exemption` is stated." in section
    within = _section(pages["reference/procedures/placement.md"], "placement.consent-in-principle")
    assert "| `conditions[].what` | What must be so |" in within


def test_what_is_no_law_says_so(catalogue: Catalogue, pages: Mapping[str, str]) -> None:
    """A product's default is marked on its page and stands among what to check; a statutory time is not."""
    for item in catalogue.tables():
        page = pages[f"reference/procedures/{item.procedure}.md"]
        proposed = [deadline for deadline in item.deadlines if deadline.kind is DeadlineKind.PRODUCT_DEFAULT]
        times = page.partition("## Deadlines")[2].partition("\n## ")[0]
        assert times.count("| **product default** |") == len(proposed), item.procedure
        for deadline in proposed:
            assert f", deadline | {deadline.title} | {deadline.source} |" in pages["reference/to-check.md"]
    checks = pages["reference/to-check.md"]
    assert "`codes/exploitation-form` `DEBT_BONDAGE`" in checks.partition("## Product defaults")[0]
    assert "`parts/fact`" in checks.partition("## Product defaults")[2]


def test_each_abbreviation_of_a_source_is_explained(pages: Mapping[str, str]) -> None:
    """Whoever reads B2b or S004 beside a field finds on the first page what that is; nothing is explained for nothing."""
    known = load_law(SCHEMAS)["sources"]
    said = " ; ".join(_sources(json.loads(path.read_bytes())) for path in _data_files())
    words = set(re.findall(r"\b(?:[A-Z][A-Z]+[0-9]*(?:-[A-Z]+)?|[A-Z][0-9]{3,4}|B2b|IntFamRVG)\b", said))
    no_source = {"EU", "EEC", "DE", "SE", "FI", "II", "III", "IV", "VI", "VII", "IEC"}

    assert words - {word for key in known for word in key.split()} - no_source == set()
    assert [key for key in known if key not in said] == []
    assert all(f"| {key} | {item['title']} |" in pages["README.md"] for key, item in known.items())


def test_each_safeguard_is_held_where_the_page_says(pages: Mapping[str, str]) -> None:
    """R-01 to R-46 without a gap: each is held somewhere, in a test that exists, or says what is still missing."""
    rules = load_law(SCHEMAS)["safeguards"]
    root = SCHEMAS.parent
    code = "".join(path.read_text("utf-8") for path in (root / "broker" / "core").glob("*.py"))
    raised = set(re.findall(r"""(?:hold|block|warn)\(\s*"(R-[0-9]{2})\"""", code))

    assert list(rules) == [f"R-{number:02d}" for number in range(1, 47)]
    for number, rule in rules.items():
        assert rule["held"] or rule.get("later"), number
        assert f"## {number}\n" in pages["reference/safeguards.md"]
        for item in rule["held"]:
            test = root / item["test"]
            assert test.is_file(), (number, item["test"])
            assert item["by"] != "safeguard" or number == "R-26" or number in test.read_text("utf-8"), (
                number,
                item["test"],
            )
    by_code = {number for number, rule in rules.items() if any(item["by"] == "safeguard" for item in rule["held"])}
    assert by_code == raised | {"R-26"}


def _data_files() -> list[Path]:
    return [
        path for folder in ("messages", "parts", "codes", "procedures") for path in (SCHEMAS / folder).rglob("*.json")
    ]


def _sources(data: Any) -> str:
    if isinstance(data, dict):
        own = [item for name, item in data.items() if name in {"source", "x-trm-source"} and isinstance(item, str)]
        return " ; ".join([*own, *(_sources(item) for item in data.values())])
    return " ; ".join(map(_sources, data)) if isinstance(data, list) else ""


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (
            {"if": {"properties": {"a": {"const": "X"}}}, "then": {"required": ["b"]}},
            "If `a` is `X`: `b` is stated.",
        ),
        (
            {"if": {"properties": {"a": {"enum": ["X", "Y"]}}}, "else": {"properties": {"b": {"not": {}}}}},
            "Unless `a` is `X` or `Y`: `b` is left out.",
        ),
        (
            {"properties": {"a": {"items": {"if": {"properties": {"b": {"const": "X"}}}, "then": {"required": ["c"]}}}}},
            "If `a[].b` is `X`: `a[].c` is stated.",
        ),
        (
            {"if": {"properties": {"a": {"contains": {"const": "X"}}}}, "then": {"properties": {"b": {"required": ["value"]}}}},
            "If `a` has an entry where it is `X`: `b` is known.",
        ),
        ({"if": {"properties": {"a": {"minimum": 2}}}, "then": {"required": ["b"]}}, "If `a` is at least 2: `b` is stated."),
        ({"if": {"required": ["a"]}, "then": {"not": {"required": ["b"]}}}, "If `a` is stated: `b` is left out."),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "`a` is stated or `b` is stated."),
        (
            {"if": {"properties": {"a": {"uniqueItems": True}}}, "then": {"required": ["b"]}},
            "If `a` is as the schema file says: `b` is stated.",
        ),
    ],
)  # fmt: skip
def test_a_condition_is_said_in_words(schema: dict[str, Any], sentence: str) -> None:
    """What one field asks of another one is a sentence; what has no words yet points at the file."""
    assert list(conditions(schema)) == [sentence]


def test_small_pieces() -> None:
    """A table without rows is none; a list of words reads as people say it; a source carries how far it is to be relied on."""
    assert table(("a",), []) == ""
    assert table(("a", "b"), [("1|2", " x ")]) == "| a | b |\n|---|---|\n| 1/2 | x |\n"
    assert joined(["a"], "or") == "a"
    assert joined(["a", "b", "c"], "or") == "a, b or c"
    assert source_cell("B2b 82", True) == "B2b 82"
    assert source_cell("B2b 82", False) == "B2b 82 **unverified**"
    assert source_cell("", "PRODUCT_DEFAULT") == "**product default**"
    assert anchor("placement.request") == "placementrequest"
