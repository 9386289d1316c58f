# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Problem documents of every error."""

from __future__ import annotations

import json

import pytest

from broker.api import problems
from broker.catalogue import Problem
from broker.core.errors import BrokerError, Internal, SchemaInvalid, every_error


@pytest.mark.parametrize("error", list(every_error()), ids=lambda error: error.code)
def test_every_error_has_its_document(error: type[BrokerError]) -> None:
    """Each error of the tree becomes a document with its code, a sentence, its status and who must act."""
    response = problems.respond(error())
    assert isinstance(response.body, bytes)
    problem = json.loads(response.body)

    assert response.status == problem["status"] == error.http_status
    assert response.content_type == "application/problem+json"
    assert problem["code"] == error.code
    assert problem["type"] == f"/problems/{error.code}"
    assert problem["who_must_act"] == error.who
    assert problem["title"] == problem["detail"] == (error.__doc__ or "").split("\n")[0]


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("/body/child/name", "/body/child/name"),
        ("/body/results/12/person", "/body/results/12/person"),
        ("/body/Test-Maarika Näidis/x", "/body/?/x"),
        ("/body/MAARIKA", "/body/?"),
        ("/", "/"),
        ("query limit", "query limit"),
        ("header Idempotency-Key", "header Idempotency-Key"),
    ],
)
def test_place_keeps_plain_names_only(where: str, shown: str) -> None:
    """A pointer's segment that no schema of ours could have is not repeated."""
    assert problems.document(SchemaInvalid(where=where))["where"] == shown


def test_faults_are_bounded() -> None:
    """A hostile body with thousands of faults gives a short list."""
    faults = [Problem(pointer=f"/body/{number}", rule="type", sentence="No.") for number in range(1000)]

    assert len(problems.document(SchemaInvalid(), faults=faults)["errors"]) == 50


def test_unknown_library_status_is_ours() -> None:
    """Whatever status the HTTP library invents, the answer is one of our codes."""
    assert problems.from_http(418).code == "bad-request"
    assert problems.from_http(599).code == "internal"
    assert problems.from_http(413).code == "request-too-large"


def test_references_differ() -> None:
    """Two failures never share a number."""
    assert len({problems.new_reference() for _ in range(100)}) == 100
    assert problems.document(Internal(), reference="00ff")["reference"] == "00ff"
