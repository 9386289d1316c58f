# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reading parameters, keys and depths."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from broker.api.requests import DEFAULT_PAGE, IDEMPOTENCY_KEY, Query, idempotency_key, number, path_id
from broker.api.services import ApiLimits
from broker.core.errors import BadRequest, NotFound
from broker.core.ids import MessageId

LIMITS = ApiLimits()


def request(query: str = "", keys: list[str] | None = None, **path: str) -> Any:
    """A request with that query, those idempotency keys and that path."""
    headers = CIMultiDict([(IDEMPOTENCY_KEY, key) for key in keys or []])
    return make_mocked_request("GET", f"/x?{query}", headers=headers, match_info=path)


def test_page_has_defaults() -> None:
    """Without parameters a page starts at the beginning with the default length."""
    assert Query(request()).page(LIMITS) == (None, DEFAULT_PAGE)
    assert Query(request("cursor=abc&limit=200")).page(LIMITS) == ("abc", 200)
    assert Query(request()).page(ApiLimits(page=10)) == (None, 10)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_any_query_is_taken_or_refused(parameters: dict[str, str]) -> None:
    """Whatever the query, it is a page or the documented refusal, which repeats none of it."""
    query = URL("/").with_query(parameters).raw_query_string
    refused: BadRequest | None = None
    cursor, limit = None, 1
    try:
        cursor, limit = Query(request(query)).page(LIMITS)
    except BadRequest as refusal:
        refused = refusal

    if refused is None:
        assert parameters.keys() <= {"cursor", "limit"}
        assert cursor is None or cursor == parameters["cursor"]
        assert 1 <= limit <= LIMITS.page
    else:
        assert refused.where in {"query", "query cursor", "query limit"}
        assert not [text for text in parameters.values() if len(text) > 6 and text in str(refused)]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=12))
def test_number_is_a_plain_positive_number(text: str) -> None:
    """Only digits without sign, zero in front, or another script's digits are a number."""
    try:
        value = number(text)
    except ValueError:
        assert not (text.isascii() and text.isdecimal() and not text.startswith("0"))
    else:
        assert str(value) == text


def test_exactly_one_key_is_taken() -> None:
    """No key and two keys are refused, as are keys that are no plain text."""
    assert idempotency_key(request(keys=["a-1"])) == "a-1"
    for keys in ([], ["a", "b"], [""], ["a" * 129], ["ä"]):
        with pytest.raises(BadRequest):
            idempotency_key(request(keys=keys))


def test_impossible_identifier_does_not_exist() -> None:
    """An identifier that cannot be one is answered like one that is not here."""
    known = "0199d3c0-0000-7000-8000-000000000001"

    assert path_id(request(id=known), MessageId) == known
    with pytest.raises(NotFound):
        path_id(request(id="x"), MessageId)
