# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the error tree."""

from __future__ import annotations

import re

import pytest

from broker.core.errors import (
    Actor,
    BrokerError,
    Fate,
    NodeError,
    SafeguardBlocked,
    SafeguardHeld,
    SchemaInvalid,
    SenderError,
    UntrustedError,
    by_code,
    every_error,
)

LEAVES = list(every_error())
FATES = {
    SenderError: {Fate.REFUSE},
    UntrustedError: {Fate.QUARANTINE, Fate.PARK, Fate.DROP},
    NodeError: {Fate.RETRY},
}


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.code)
def test_each_error_has_its_own_code_text_and_fate(error: type[BrokerError]) -> None:
    """A leaf has a code of its own, a sentence, an actor, an HTTP error status and a fate of its family."""
    family = error.__mro__[1]
    assert "code" in vars(error)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", error.code)
    assert (error.__doc__ or "").strip().endswith(".")
    assert isinstance(error.who, Actor)
    assert 400 <= error.http_status < 600
    assert error.fate in FATES[family]


def test_no_two_errors_share_a_code() -> None:
    """The codes find their errors again."""
    assert len(by_code()) == len(LEAVES)
    assert by_code()["schema-invalid"] is SchemaInvalid


def test_the_docstring_is_the_default_sentence() -> None:
    """Without a detail the class speaks for itself; with one the detail does, and the place is named."""
    assert SchemaInvalid().detail == (SchemaInvalid.__doc__ or "").split("\n")[0]
    assert str(SchemaInvalid("A member is missing.", where="/a")) == "schema-invalid: A member is missing. (at /a)"
    assert str(SchemaInvalid("A member is missing.")) == "schema-invalid: A member is missing."


@pytest.mark.parametrize("error", [SafeguardBlocked, SafeguardHeld])
def test_a_safeguard_speaks_to_the_caller(error: type[BrokerError]) -> None:
    """What a safeguard stops never left: its caller must act."""
    assert error.who is Actor.CALLER
    assert error.http_status == 422
