# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON: one value, one sequence of bytes; everything else is refused with one code."""

import base64
import binascii
import hashlib
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.core import canonical
from broker.core.errors import NotCanonical

LARGEST = 2**53 - 1
names = st.text(alphabet=st.characters(max_codepoint=127), max_size=6)
texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(values)
def test_a_value_comes_back_from_its_bytes(value: Any) -> None:
    """Writing and parsing give the same value, and its bytes are what the standard library writes."""
    raw = canonical.dump(value)

    assert canonical.parse(raw) == value
    assert json.loads(raw) == value


def test_a_tuple_is_written_as_a_list_and_looked_through() -> None:
    """What may not be written may not hide in one either."""
    assert canonical.dump({"a": (1, ("b",))}) == b'{"a":[1,["b"]]}'
    for hidden in (1.5, 2**53, {"ä": 1}):
        with pytest.raises(NotCanonical):
            canonical.dump({"a": (1, (hidden,))})


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0123456789-.eE\\utrfalsn ', max_size=24).map(str.encode))
def test_any_bytes_are_canonical_or_refused(raw: bytes) -> None:
    """What is accepted is what we would write; nothing but our error escapes."""
    try:
        value = canonical.parse(raw)
    except NotCanonical:
        return
    assert canonical.dump(value) == raw


@settings(max_examples=100, deadline=None)
@given(values, st.data())
def test_another_spelling_of_a_value_is_refused(value: Any, data: st.DataObject) -> None:
    """White space and needless escapes do not make a second spelling."""
    spelling = data.draw(st.sampled_from([{"indent": 1}, {"separators": (", ", ":")}, {"ensure_ascii": True}]))
    other = json.dumps(value, sort_keys=True, **{"separators": (",", ":"), "ensure_ascii": False, **spelling}).encode()
    raw = canonical.dump(value)

    if other != raw:
        with pytest.raises(NotCanonical):
            canonical.parse(other)


def test_members_are_sorted_and_nothing_is_escaped_without_need() -> None:
    """The bytes are those of RFC 8785."""
    value = {"b": "ä€𝄞", "a": '"\\\b\f\n\r\t\x01\x7f/', "": [1, -1, None, True, False, {}]}
    expected = '{"":[1,-1,null,true,false,{}],"a":"\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f/","b":"ä€𝄞"}'.encode()

    assert canonical.dump(value) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"{", b"[1,]", b"{} ", b" {}", b"{}\n", b"{}{}", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a": 1}',
        b"1.0", b"1.5", b"1e2", b"1E2", b"-0", b"01", b"+1", b"9007199254740992", b"-9007199254740992", b"9" * 400,
        b"NaN", b"Infinity", b"-Infinity", b"nul", b"'a'", b'"\\u0061"', b'"\\/"', b'"\\u00E4"', b'"\\ud800"',
        b'"\\udc00\\ud800"', b'"\xff"', b'"\xc0\x80"', b'"\x01"', '{"ä":1}'.encode(), b"\xef\xbb\xbf{}", b"//", b"\0",
    ],
)  # fmt: skip
def test_bytes_that_we_would_not_write_are_refused(raw: bytes) -> None:
    """Each has one fault."""
    with pytest.raises(NotCanonical):
        canonical.parse(raw)


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        0.5,
        float("nan"),
        2**53,
        -(2**53),
        {"ä": 1},
        {1: 1},
        {"a": {None: 1}},
        "\ud800",
        b"x",
        {"a": {1, 2}},
        pytest.param(object(), id="an object"),
    ],
    ids=repr,
)
def test_values_without_a_canonical_form_are_refused(value: Any) -> None:
    """Nothing is rounded, converted or left out."""
    with pytest.raises(NotCanonical):
        canonical.dump(value)


def test_depth_is_bounded_whatever_the_container() -> None:
    """24 containers are written and read, 25 are not, and no depth exhausts the stack."""
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        inner = b"1"
        deepest = opening * 24 + inner + closing * 24

        assert canonical.dump(canonical.parse(deepest)) == deepest
        for depth in (25, 500, 5_000, 200_000):
            with pytest.raises(NotCanonical):
                canonical.parse(opening * depth + inner + closing * depth)


def test_depth_is_bounded_for_values_too() -> None:
    """A value deeper than any stack is refused like one that is just too deep."""
    for depth in (25, 100_000):
        value: Any = 1
        for _ in range(depth):
            value = [value]
        with pytest.raises(NotCanonical):
            canonical.dump(value)


def test_an_error_does_not_carry_the_document() -> None:
    """A parser's error holds the whole text; ours must not, nor point to one that does."""
    with pytest.raises(NotCanonical) as caught:
        canonical.parse(b'{"name":"Test-Maarika",}')

    assert caught.value.__cause__ is None
    assert "Maarika" not in str(caught.value)


def test_a_digest_is_sha_256_in_hex() -> None:
    """The name of a message for both countries, however long it is."""
    for length in (0, 1, 1983, 1984, 1985, 5000, 64 * 1024, 64 * 1024 + 1):
        raw = bytes(number % 251 for number in range(length))
        assert canonical.digest(raw) == hashlib.sha256(raw).hexdigest()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_base64url_comes_back(raw: bytes) -> None:
    """Encoding and decoding give the same bytes, without padding."""
    text = canonical.b64url_encode(raw)

    assert canonical.b64url_decode(text) == raw
    assert text.encode() == base64.urlsafe_b64encode(raw).rstrip(b"=")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="AQgw09-_+/= \n.ä", max_size=9))
@example("Qg+A")
@example("Qg/A")
@example("Qg==")
def test_only_the_one_spelling_of_base64url_is_taken(text: str) -> None:
    """Held against decode, encode, compare."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        canonical_spelling = base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text
    except (binascii.Error, ValueError):
        canonical_spelling = False

    if canonical_spelling:
        assert canonical.b64url_decode(text) == raw
    else:
        with pytest.raises(ValueError, match="base64url"):
            canonical.b64url_decode(text)


@pytest.mark.parametrize("value", [None, 7, ["AAAA"], {"text": "AAAA"}, b"AAAA"])
def test_what_is_no_text_is_no_base64url(value: object) -> None:
    """In a document of another's, anything may stand where the text should."""
    with pytest.raises(ValueError, match="base64url"):
        canonical.b64url_decode(value)


def test_a_member_is_missed_nowhere_and_a_text_is_taken_for_none() -> None:
    """Whoever asks for a name gets a sure no, or goes and looks."""
    assert canonical.may_have({"a": [{"b": {"jwe": 1}}]}, "jwe")
    assert not canonical.may_have({"a": ['"jwe":', "jwe"], "xjwe": 1}, "jwe")
    assert canonical.may_have({"a": object()}, "jwe")
