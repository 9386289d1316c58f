# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm case pass-on` and `answer`."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def case(trm, home, request_file, office):
    """A case with one message."""
    return trm("submit", request_file, "--home", home, "--json").json["procedure"]


def _act(trm, home, office, *words):
    return trm("case", *words, "--home", home, "--authority", office, "--json")


def test_the_offices_that_had_the_data_are_listed_and_told_once(trm, home, office, case):
    """A list alone sends nothing; who has answered is shown by the disclosures."""
    words = ("pass-on", case, "--kind", "erase", "--reason", "unlawful", "--office-kind", "CENTRAL_AUTHORITY")
    (listed,) = _act(trm, home, office, *words, "--dry-run").json["items"]
    assert (listed["recipient"]["country"], "message" in listed) == ("FI", False)
    said = trm("case", *words, "--home", home, "--authority", office)
    assert "FI/helsinki-wellbeing-services" in said.out
    assert "trm case disclosures" in said.out
    assert "no office left" in trm("case", *words, "--home", home, "--authority", office).out
    (passed,) = _act(trm, home, office, "disclosures", case).json["corrections"]
    assert (passed["type"], passed["confirmed"]) == ("correction.erase", None)


def test_a_rectification_needs_what_is_right(trm, home, office, case, tmp_path):
    """From a file of the message's members; what does not fit is told by its code, what is no object at once."""
    file = tmp_path / "details.json"
    file.write_text(json.dumps({"fields": []}))
    words = ("pass-on", case, "--kind", "rectify", "--office-kind", "CENTRAL_AUTHORITY", "--details", file)
    assert _act(trm, home, office, *words).json["items"][0]["code"] == "schema-invalid"
    file.write_text("[]")
    assert _act(trm, home, office, *words).json["error"]["where"] == "--details"


def test_what_is_typed_wrongly_is_told_with_its_option(trm, home, office, case):
    """A reason belongs to an erasure alone; kinds and outcomes are codes; there must be something to answer."""
    for words, where in (
        (("pass-on", case, "--kind", "erase"), "--reason"),
        (("pass-on", case, "--kind", "restrict", "--reason", "unlawful"), "--reason"),
        (("pass-on", case, "--kind", "forget"), "--kind"),
        (("answer", case, "--outcome", "MAYBE"), "--outcome"),
    ):
        assert _act(trm, home, office, *words).json["error"]["where"] == where
    assert _act(trm, home, office, "answer", case, "--outcome", "DONE").json["error"]["code"] == "not-found"
