# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about a country profile's document."""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest

from broker.core.errors import TrustListInvalid
from broker.core.ids import AuthorityId, CountryCode
from broker.core.profile_questions import QUESTIONS, Kind
from broker.core.profiles import CountryProfile, Entry, Item, Office, ProfileVersion, Source, Standing, Value
from broker.trust.profile_documents import MAX_BYTES, read_profile, write_profile

SOURCE = Source(document="A made-up act", place="section 1", read="2026-11")
VALUES: dict[Kind, Value] = {
    Kind.TEXT: "words",
    Kind.YES_NO: False,
    Kind.AGE: 15,
    Kind.DAY: date(2016, 7, 1),
    Kind.CODE: "",
    Kind.CODES: (),
    Kind.COUNTRIES: (CountryCode("SV"), CountryCode("UA")),
    Kind.LANGUAGES: ("lv", "en"),
    Kind.OFFICES: (Office(name="Board", found_by="place", authority=AuthorityId("board")), Office(name="Court")),
    Kind.ITEMS: (Item(number=1, text="name", form="certified copy", translated=False), Item(number=2, text="age")),
}
PROFILE = CountryProfile(
    country=CountryCode("EE"),
    versions=tuple(
        ProfileVersion(
            valid_from=day,
            edited=day,
            editor="Test Ministry",
            because="A made-up act",
            entries={
                **{
                    name: Entry(
                        standing=Standing.SECONDARY,
                        value=question.codes[0] if question.kind is Kind.CODE else VALUES[question.kind],
                        source=SOURCE,
                    )
                    for name, question in QUESTIONS.items()
                },
                "placement.decider": Entry(note="Looked for and not found."),
                "placement.on_change": Entry(standing=Standing.VERIFIED, applicable=False, source=SOURCE, note="why"),
            },
        )
        for day in (date(2026, 1, 1), date(2026, 7, 1))
    ),
)
ANSWERS = ("versions", 0, "answers")
DECIDER = (*ANSWERS, "placement", "requires")


@pytest.fixture
def data() -> Any:
    """The document's value, to be broken."""
    return copy.deepcopy(json.loads(write_profile(PROFILE)))


def test_every_form_of_answer_reads_back() -> None:
    """Known, not applicable and unknown answers of each kind come back as they were, in the same bytes."""
    raw = write_profile(PROFILE)
    assert read_profile(raw) == PROFILE
    assert write_profile(read_profile(raw)) == raw


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "trm-profile/2"),
        (("country",), "EL"),
        (("colour",), "red"),
        (("versions",), []),
        (("versions", 1, "valid_from"), "2026-01-01"),
        (("versions", 0, "valid_from"), "1.1.2026"),
        (("versions", 0, "editor"), ""),
        (("versions", 0, "because"), None),
        (("versions", 0, "approved"), True),
        ((*ANSWERS, "weather"), {}),
        ((*ANSWERS, "placement"), []),
        ((*ANSWERS, "placement", "deciders"), {"unknown": True, "note": "x"}),
        ((*ANSWERS, "placement", "decider"), {"unknown": True}),
        ((*ANSWERS, "placement", "decider"), {"unknown": False, "note": "x"}),
        ((*ANSWERS, "placement", "decider", "value"), []),
        ((*ANSWERS, "placement", "on_change", "value"), "NEW_REQUEST"),
        ((*ANSWERS, "placement", "on_change", "not_applicable"), False),
        ((*ANSWERS, "placement", "on_extension", "value"), "NEVER"),
        ((*ANSWERS, "placement", "on_extension", "value"), {}),
        ((*ANSWERS, "placement", "on_extension", "standing"), "UNKNOWN"),
        ((*ANSWERS, "placement", "on_extension", "standing"), "SURE"),
        ((*ANSWERS, "placement", "on_extension", "source"), {}),
        ((*ANSWERS, "placement", "on_extension", "source"), None),
        ((*ANSWERS, "placement", "on_extension", "source", "read"), "2026"),
        ((*ANSWERS, "placement", "on_extension", "source", "place"), None),
        ((*ANSWERS, "placement", "on_extension", "note"), None),
        ((*ANSWERS, "placement", "relative_categories", "value"), ["KINSHIP_CARE", "ADULT_SIBLING"]),
        ((*ANSWERS, "placement", "relative_categories", "value"), ["ADULT_SIBLING", "ADULT_SIBLING"]),
        ((*ANSWERS, "placement", "relative_categories", "value"), ["AUNT"]),
        ((*ANSWERS, "placement", "child_consent_age", "value"), True),
        ((*ANSWERS, "placement", "child_consent_age", "value"), 22),
        ((*ANSWERS, "placement", "guardian_consent", "value"), "no"),
        ((*ANSWERS, "placement", "health_cover", "value"), "two\nlines"),
        ((*ANSWERS, "instruments", "h96_since", "value"), "2016-07"),
        ((*ANSWERS, "instruments", "h96_objections", "value"), ["UA", "SV"]),
        ((*ANSWERS, "languages", "accepted", "value"), ["Latvian"]),
        ((*ANSWERS, "languages", "accepted", "value"), []),
        ((*ANSWERS, "languages", "accepted", "value"), ["lv", "lv"]),
        ((*ANSWERS, "bodies", "focal_point", "value"), []),
        ((*ANSWERS, "bodies", "focal_point", "value"), [{"name": "x", "phone": "1"}]),
        ((*ANSWERS, "bodies", "focal_point", "value"), [{"name": "x", "authority": "Ämt"}]),
        ((*DECIDER, "value"), [{"number": 2, "text": "x"}]),
        ((*DECIDER, "value"), [{"number": 1, "text": "x"}, {"number": 1, "text": "y"}]),
        ((*DECIDER, "value"), [{"number": 1, "text": "x", "translated": "yes"}]),
        ((*DECIDER, "value"), []),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(data: Any, path: tuple[str | int, ...], value: Any) -> None:
    """Whatever is wrong, the error points into that member, at it or at what it stands in, and repeats nothing of it."""
    target = data
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value

    with pytest.raises(TrustListInvalid) as raised:
        read_profile(json.dumps(data).encode(), where="p")

    where = (raised.value.where or "").removeprefix("p: ")
    pointer = "".join(f"/{part}" for part in path)
    assert where.startswith(pointer) or pointer.startswith(where.rstrip("/"))
    assert where.count("/") >= len(path) - 1 or where == "/versions"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"format": 1, "format": 2}', b"\xff", b" " * (MAX_BYTES + 1)])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    """Bytes that are no JSON object of this kind, or too many, raise the documented error and nothing else."""
    with pytest.raises(TrustListInvalid) as raised:
        read_profile(raw, where="p")
    assert (raised.value.where or "").startswith("p")
