# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Holding files against their schemas."""

import json

import pytest


def test_a_good_file_is_good(trm, request_file):
    """The example is valid, for people and for scripts."""
    people, scripts = trm("validate", request_file), trm("validate", request_file, "--json")

    assert (people.code, scripts.code) == (0, 0)
    assert "is a valid family-tracing.request" in people.out
    assert scripts.json == {
        "file": str(request_file), "type": "family-tracing.request", "valid": True, "problems": [],
    }  # fmt: skip


def test_everything_wrong_is_listed_with_its_place(trm, request_file):
    """Two mistakes are two problems with pointers, exit code 1, and no value of the file is shown."""
    data = json.loads(request_file.read_bytes())
    data["urgency"] = "Test-Maarika"
    del data["body"]["child_wish"]
    request_file.write_text(json.dumps(data))
    ran = trm("validate", request_file, "--json")

    assert (ran.code, ran.json["valid"]) == (1, False)
    assert {"/urgency", "/body/child_wish"} <= {problem["pointer"] for problem in ran.json["problems"]}
    assert "Test-Maarika" not in ran.out
    assert "/body/child_wish" in trm("validate", request_file).out


def test_a_bare_body_is_held_against_a_type(trm, request_file):
    """With --type the file is the body alone."""
    body = json.loads(request_file.read_bytes())["body"]
    request_file.write_text(json.dumps(body))
    as_body = trm("validate", request_file, "--type", "family-tracing.request", "--version", "1.0")
    as_submission = trm("validate", request_file)

    assert (as_body.code, as_submission.code) == (0, 1)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_json_is_a_sentence_with_its_place(trm, request_file, raw, sentence):
    """A file that cannot be read as JSON is refused with the file's name and why."""
    request_file.write_bytes(raw)
    ran = trm("validate", request_file)

    assert ran.code == 1
    assert sentence in ran.err
    assert str(request_file) in ran.err


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--type", "family-tracing.nonsense"), "unknown-type"),
        (("--type", "family-tracing.request", "--version", "9.9"), "version-not-supported"),
        (("--type", "Nonsense"), "bad-request"),
        (("--version", "1.0"), "bad-request"),
    ],
)
def test_a_type_that_is_none_is_refused(trm, request_file, more, code):
    """An unknown type or version, and a version without a type, are refused by code."""
    assert trm("validate", request_file, *more, "--json").json["error"]["code"] == code


def test_an_unknown_type_in_the_file_is_not_repeated(trm, request_file):
    """What stands in place of the type may be anything, so it is not shown."""
    request_file.write_text(json.dumps({"type": "Test-Maarika Näidis"}))
    ran = trm("validate", request_file, "--json")

    assert ran.json["type"] is None
    assert "Test-Maarika" not in ran.out
