# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about telling changes in words."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.authority_keys import revoked
from broker.core.messages import Party
from broker.core.trust import Member, RevocationReason
from broker.schema_files import load_catalogue
from broker.testing.offices import authority_key, with_office_keys
from broker.trust.changes import Change, compare, lay_out_document, sentences
from broker.trust.member_documents import encode_member

TEXT = st.text(st.characters(codec="ascii", categories=("L",)), min_size=1, max_size=3)
VALUES = st.recursive(
    TEXT | st.integers(0, 9) | st.booleans(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXT, part, min_size=1, max_size=3),
    max_leaves=6,
)


def test_a_change_is_a_sentence() -> None:
    """New, gone and changed are told with what there was and is."""
    changes = compare({"a": "1", "b": "2", "c": "3"}, {"b": "3", "c": "3", "d": "4"})
    assert [change.sentence for change in changes] == ["gone: a (was 1)", "changed: b is 3 (was 2)", "new: d is 4"]
    assert changes[0] == Change(place="a", before="1", after=None)


def test_hundreds_of_versions_do_not_hide_a_new_key(ee: Member) -> None:
    """What a joining country takes is told by procedure and versions, every type by its name; all else place by place."""
    messages, procedures = load_catalogue().speaks()
    ee = replace(ee, messages=messages, procedures=procedures)
    data = encode_member(ee)
    changes = compare({}, lay_out_document("members/EE.json", data))
    said = tuple(sentences(changes))

    listed = [change for change in changes if ": messages " in change.place]
    families = {kind.procedure for kind in ee.messages}
    assert len(listed) == len(ee.messages) > len(families)
    told = {(kind.procedure, versions) for kind, versions in ee.messages.items()}
    assert len(families) <= sum(": messages " in sentence for sentence in said) == len(told) < len(ee.messages) / 2
    words = " ".join(said).replace(",", " ").replace(".", " ").split()
    assert all(kind.act in words for kind in ee.messages)
    others = [change.sentence for change in changes if change not in listed and ": procedures " not in change.place]
    assert [sentence for sentence in said if sentence in others] == others


def test_a_first_catalogue_is_counted_and_a_later_one_told_file_by_file() -> None:
    """What a federation is called must not drown in its files; who changes one of them is named every time."""
    names = ("codes/sex.json", "codes/role.json", "messages/a/b/1.0.json")
    after = {f"catalogue.json: files {name}": "9 characters" for name in (*names, "codes/odd name is x.json")}
    whole = {"catalogue.json: format": "trm-catalogue/1", **after, "federation.json: name": "Baltic exercise"}

    assert list(sentences(compare({}, whole))) == [
        "new: catalogue.json: files codes/odd name is x.json is 9 characters",
        "new: catalogue.json: files codes: 2 files, as the hash of the document says",
        "new: catalogue.json: files messages: 1 files, as the hash of the document says",
        "new: catalogue.json: format is trm-catalogue/1",
        "new: federation.json: name is Baltic exercise",
    ]
    before = {place: value for place, value in whole.items() if "files" not in place}
    assert [sentence.split(" is ")[0] for sentence in sentences(compare(before, whole))] == [
        f"new: {place}".split(" is ")[0] for place in sorted(after)
    ]


def test_only_equal_versions_of_one_procedure_are_told_together() -> None:
    """Another version, another procedure and another document stand apart, and a strange name is told alone."""
    before = {"members/EE.json: messages a.x": "1.0", "members/EE.json: messages a.y": "1.0"}
    after = dict.fromkeys(before, "1.1") | {
        "members/EE.json: messages a.z": "1.1",
        "members/FI.json: messages a.x": "1.1",
        "members/EE.json: messages z.x, keys K is": "1.1",
    }
    assert set(sentences(compare(before, after))) == {
        "changed: members/EE.json: messages a: x, y each is 1.1 (was 1.0)",
        "new: members/EE.json: messages a.z is 1.1",
        "new: members/EE.json: messages z.x, keys K is is 1.1",
        "new: members/FI.json: messages a.x is 1.1",
    }


def test_the_order_of_a_list_of_keys_is_no_change(ee: Member) -> None:
    """Keys and offices are named by their ids."""
    data = encode_member(ee)
    turned = {**data, "keys": data["keys"][::-1]}
    assert compare(lay_out_document("x", data), lay_out_document("x", turned)) == ()


def test_an_offices_key_is_told_by_office_and_id(ee: Member) -> None:
    """An officer who signs reads whose key it is, which one, and until when; a revocation of it likewise."""
    office = Party(country=ee.country, authority=ee.authorities[0].id)
    listed = with_office_keys(ee, start=ee.keys[0].not_before)
    kid = authority_key(office).kid
    gone = revoked(listed, kid, at=ee.keys[0].not_before, reason=RevocationReason.COMPROMISED)
    before, after, later = (lay_out_document("x", encode_member(member)) for member in (ee, listed, gone))
    place = f"x: authorities {office.authority} keys {kid}"
    assert {change.place for change in compare(before, after)} == {
        f"{place} {name}" for name in ("jwk", "not_before", "seal_until", "accept_until")
    }
    assert {change.place for change in compare(after, later)} == {f"{place} revoked at", f"{place} revoked reason"}


def test_long_values_are_told_by_their_hash() -> None:
    """A schema file of the catalogue does not fill the screen, and no change of it goes unseen."""
    one = compare(lay_out_document("x", {"f": "a" * 1000}), lay_out_document("x", {"f": "a" * 999 + "b"}))
    assert len(one) == 1
    assert len(one[0].sentence) < 300


@settings(max_examples=100)
@given(st.dictionaries(TEXT, VALUES, max_size=3), TEXT, st.integers(10, 99))
def test_every_new_value_is_told(data: dict[str, object], name: str, value: int) -> None:
    """Whatever is there before, setting a member to another value shows."""
    after = {**data, name: value}
    changes = compare(lay_out_document("x", data), lay_out_document("x", after))
    assert f"x: {name}" in {change.place for change in changes}
    assert str(value) in json.dumps([change.after for change in changes])


def test_of_two_items_with_one_id_both_are_told() -> None:
    """An item cannot hide behind another one of the same id."""
    told = lay_out_document("x.json", {"list": [{"id": "a", "name": "shown"}, {"id": "a", "name": "hidden"}]})
    assert {"shown", "hidden"} <= set(told.values())


def test_two_lists_are_never_told_in_the_same_words() -> None:
    """An item that holds a comma, a quote, or nothing is told from several items and from none."""
    lists = (
        ["a", "b"],
        ["a, b"],
        ['a", "b'],
        ['"a"', "b"],
        ["a", "", "b"],
        [],
        [""],
        ["none"],
        ["a", "b "],
        ["a", " b"],
    )
    told = [lay_out_document("x", {"list": items})["x: list"] for items in lists]
    assert told[0] == "a, b"
    assert len(set(told)) == len(told)
