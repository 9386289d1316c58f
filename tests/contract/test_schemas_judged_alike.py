# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`jsonschema-rs`, which decides, and `jsonschema`, which explains, always give the same verdict."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from broker.catalogue.bundle import read_bundle, self_contained
from broker.catalogue.compiled import validator_of
from broker.core.ids import MessageType, SchemaVersion
from broker.schema_files import load_catalogue, read_schema_file

V1 = SchemaVersion("1.0")
# Not drawn: lone surrogates and fractions of more than one spelling, which canonical JSON cannot carry.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TELLING = st.sampled_from(
    [
        "", " ", "\n", "\t", "x\n", "\u0661\u0662", "\u2028", "\u200b", "\ufeff", "\x00", "\x7f", "\x85", "e\u0301", "𐍈",
        "2026-02-28", "2026-02-29", "2024-02-29", "2026-2-3", "2026-02-28\n", "２０２６-02-28", "20260228", "2026-W01-1", "0000-01-01",
        "EE", "EL", "UK", "XXA", "ee", "ЕЕ", "+372 000 0000", "+372  000", "a@b.example", "a@b", "et", "sr-Latn-RS", "x" * 200, "x" * 201,
        "\U0001f600" * 200, "\U0001f600" * 201,
    ]
)  # fmt: skip
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.sampled_from([0.0, 1.0, 1.5, -0.0]),
    TEXT,
    TELLING,
)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["value", "unknown", "withheld", "not_applicable", "date", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


def _pair(schema):
    decide = validator_of(schema)
    explain = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return decide.is_valid, explain.is_valid


# What is compared is made when a test first needs it: all of it takes seconds, for each worker that collects tests.


@cache
def _files():
    folder = Path(__file__).parents[2] / "schemas"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}


@cache
def _examples():
    return {name: json.loads(raw) for name, raw in _files().items() if name.startswith("examples/")}


@cache
def _bundle():
    return read_bundle(_files())


@cache
def _by_part(path):
    return _pair(self_contained(_bundle(), path))


@cache
def _by_type(kind, version=V1):
    return _pair(self_contained(_bundle(), f"messages/{kind.replace('.', '/')}/{version}.json"))


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield from _places(item, (*path, step))


@cache
def _all_places():
    return [(name, path) for name, data in _examples().items() for path in _places(data["body"]) if path]


def test_both_accept_every_example():
    """Each example's submission and body are right for either library."""
    submission = _pair(load_catalogue().submission_schema())
    for name, data in _examples().items():
        for pair, instance in ((submission, data), (_by_type(data["type"], data["version"]), data["body"])):
            assert [judge(instance) for judge in pair] == [True, True], name


@settings(max_examples=120, deadline=None)
@given(
    place=st.deferred(lambda: st.sampled_from(_all_places())),
    how=st.sampled_from(["put", "put", "drop", "twice"]),
    new=VALUE,
)
def test_both_judge_a_mutated_example_alike(place, how, new):
    """Whatever is put in, dropped from or doubled in an example, the two libraries agree about it."""
    name, path = place
    data = _examples()[name]
    body = copy.deepcopy(data["body"])
    parent = body
    for step in path[:-1]:
        parent = parent[step]
    if how == "drop":
        del parent[path[-1]]
    elif how == "twice" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[path[-1]]))
    else:
        parent[path[-1]] = new
    decide, explain = _by_type(data["type"], data["version"])

    assert decide(body) is explain(body)


@settings(max_examples=150, deadline=None)
@given(path=st.deferred(lambda: st.sampled_from(sorted(_bundle().documents))), value=VALUE)
def test_both_judge_any_value_alike_by_any_part(path, value):
    """For each part and code list, the two libraries agree about an arbitrary value."""
    decide, explain = _by_part(path)

    assert decide(value) is explain(value)


PATTERNS = sorted(path for path, raw in _files().items() if path.startswith("parts/") and "pattern" in json.loads(raw))


@pytest.mark.parametrize("path", PATTERNS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_both_judge_near_misses_of_each_pattern_alike(path, data):
    """A text of the pattern's form, with one character put in, replaced or cut, is judged alike."""
    pattern = _bundle().documents[path]["pattern"].removesuffix("(?![\\s\\S])")
    text = data.draw(st.from_regex(pattern, fullmatch=True))
    position = data.draw(st.integers(0, len(text)))
    near = (
        text[:position]
        + data.draw(st.one_of(TEXT, st.just(""), st.just("\n")))
        + text[position + data.draw(st.integers(0, 1)) :]
    )
    decide, explain = _by_part(path)

    assert decide(text) is explain(text)
    assert decide(near) is explain(near)


def test_the_packaged_reader_gives_the_files_compared_here():
    """The catalogue compared above is the one that the program loads."""
    assert read_schema_file("examples/demo/request.json")
    assert load_catalogue().schema(MessageType("node.receipts"), V1) == self_contained(
        _bundle(), "messages/node/receipts/1.0.json"
    )
