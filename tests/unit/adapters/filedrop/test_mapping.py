# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Names and contents of the file drop's files."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.filedrop.mapping import (
    accepted_note,
    free_names,
    idempotency_key,
    is_offered,
    parse_submission,
    problem_note,
    received_file,
    received_name,
)
from broker.adapter_api import BadRequest
from broker.core.canonical import digest
from broker.core.errors import SchemaInvalid
from broker.core.ids import CountryCode, MessageId, ProcedureId
from broker.rows import Accepted
from broker.testing.adapter_node import sample_message

ID = "0199d3c0-0000-7000-8000-000000000001"


def test_received_file_is_named_by_the_message_alone() -> None:
    """The name is sender and id, the content the message in readable JSON."""
    message = sample_message()

    assert received_name(message) == f"{message.sender.country}.{message.id}.json"
    other = replace(message, sender=replace(message.sender, country=CountryCode("LV")))
    assert received_name(other) == f"LV.{message.id}.json"  # two countries may use one id
    assert json.loads(received_file(message)) == message.to_json()
    assert received_file(message) == received_file(sample_message())


def test_a_person_who_opens_a_file_reads_what_stands_there_and_a_system_what_was_sent() -> None:
    """Directions, zero widths and controls lie as escapes in every file of ours, other scripts as letters; no value differs."""
    steering = "\u202e\u2066\u200b\ufeff\x9b\x1b\x7f\u2028\U000e0041"
    said = f"Näidis ليلى 名 \U0001f33b{steering}"
    message = replace(sample_message(), body={"reasons": said})

    raw = received_file(message)
    assert json.loads(raw) == message.to_json()
    assert json.loads(raw)["body"] == {"reasons": said}
    assert not set(steering) & set(raw.decode())
    assert "Näidis ليلى 名 \U0001f33b\\u202e" in raw.decode()
    note = problem_note(BadRequest("a\u202eb"))
    assert (json.loads(note)["detail"], b"\\u202e" in note) == ("a\u202eb", True)


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("a.json", True), ("a.JSON", True), ("a.txt", True), (".a.json", False), ("a.json.tmp", False),
        ("a.json.PART", False), (".nfs0001", False), ("tmp", True),
    ],
)  # fmt: skip
def test_hidden_and_unfinished_names_are_left_alone(name: str, offered: bool) -> None:
    """Everything else is somebody's wish to send and gets an answer."""
    assert is_offered(name) is offered


def test_key_is_of_name_and_content() -> None:
    """The same file has the same key; another name or content has another; neither can pass for the other."""
    key = idempotency_key("a.json", b"{}")

    assert key == idempotency_key("a.json", b"{}")
    assert len({key, idempotency_key("b.json", b"{}"), idempotency_key("a.json", b"[]")}) == 3
    assert idempotency_key("a", b"b") != idempotency_key("ab", b"")
    assert len(idempotency_key("\udcff.json", b"{}")) == 64


@pytest.mark.parametrize("raw", [b'{"a": 1.5, "\xc3\xa4": null}', b'\xef\xbb\xbf{"a": 1.5, "\xc3\xa4": null}'])
def test_json_object_is_a_submission(raw: bytes) -> None:
    """UTF-8 with or without the mark that some editors put in front."""
    assert parse_submission("a.JSON", raw) == {"a": 1.5, "ä": None}


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.txt", b"{}"),
        ("a", b"{}"),
        ("a.json", b""),
        ("a.json", b"[]"),
        ("a.json", b'"Maarika"'),
        ("a.json", b'{"Maarika": 1, "Maarika": 1}'),
        ("a.json", b'{"a": NaN}'),
        ("a.json", b'{"a": -Infinity}'),
        ("a.json", b"{'Maarika': 1}"),
        ("a.json", b'{"a": "\xff"}'),
        ("a.json", "{}".encode("utf-16")),
        ("a.json", b"[" * 100_000),
        ("a.json", b'{"a": ' + b"9" * 5000 + b"}"),
    ],
)
def test_anything_else_is_refused_without_repeating_it(name: str, raw: bytes) -> None:
    """The refusal says what a file must be, never what this one says."""
    with pytest.raises(BadRequest) as raised:
        parse_submission(name, raw)
    assert "Maarika" not in str(raised.value)


@given(st.binary(max_size=64))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    """Nothing but the documented error comes out."""
    try:
        parsed: Any = parse_submission("a.json", raw)
    except BadRequest:
        return
    assert isinstance(parsed, dict)


def test_note_of_a_repeated_answer_is_the_same() -> None:
    """After a crash the second answer writes the same bytes, so that it recognises its own note."""
    first = Accepted(
        message=MessageId(ID),
        digest=digest(b""),
        procedure=ProcedureId(ID),
        case_ref=None,
        created=sample_message().created,
    )
    second = replace(first, repeated=True)

    assert accepted_note(first) == accepted_note(second)
    assert json.loads(accepted_note(first)) == {"message": ID, "procedure": ID, "digest": digest(b"")}


def test_problem_says_what_where_and_who() -> None:
    """The note beside a rejected file has all that its author needs."""
    assert json.loads(problem_note(SchemaInvalid("It is missing.", where="/body/child"))) == {
        "code": "schema-invalid", "detail": "It is missing.", "where": "/body/child", "who_must_act": "sender",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("a.json", ["a.json", "a~2.json", "a~3.json"]),
        ("a.b.json", ["a.b.json", "a.b~2.json", "a.b~3.json"]),
        ("a", ["a", "a~2", "a~3"]),
    ],
)
def test_clashing_names_are_numbered(name: str, names: list[str]) -> None:
    """The name itself first, then numbers before its ending."""
    assert list(islice(free_names(name), 3)) == names
