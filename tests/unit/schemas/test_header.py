# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The header schema and `core.content` say the same about a message header."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import jsonschema_rs
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core import canonical
from broker.core.content import decode_header, encode_header
from broker.core.errors import HeaderInvalid
from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)
from broker.core.messages import Header, LegalBasis, Party, ProcedureRef, Urgency
from broker.schema_files import load_catalogue


@cache
def validator():
    """The header's; made when a test first needs it, not by each worker that collects tests."""
    schema = load_catalogue().header_schema()
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, ignore_unknown_formats=False)


UUIDS = ["019ab6c8-1c00-7a00-8a00-000000000001", "019ab6c8-1c00-7fff-bfff-ffffffffffff"]
TEXTS = {
    AuthorityId: ["node", "a", "social-insurance-board", "0" * 63],
    CaseRef: ["CR-0123456789ABCDEFGHJK", "EX-CR-ZZZZZZZZZZZZZZZZZZZZ"],
    CountryCode: ["EE", "FI", "XK", "GR"],
    Digest: ["0" * 64, "1" * 64, "abcdef01" * 8, "f" * 64],
    MessageId: UUIDS,
    ProcedureId: UUIDS,
    SchemaVersion: ["0.0", "1.0", "10.2", "9999.9999"],
}


def _ids(kind):
    return st.sampled_from([kind(text) for text in TEXTS[kind]])


PARTY = st.builds(Party, country=_ids(CountryCode), authority=_ids(AuthorityId))
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
REF = st.builds(
    ProcedureRef,
    id=_ids(ProcedureId),
    name=st.sampled_from(["family-tracing", "x"]),
    version=_ids(SchemaVersion),
    digest=_ids(Digest),
)
COMMON = {
    "id": _ids(MessageId),
    "version": _ids(SchemaVersion),
    "sender": PARTY,
    "recipient": PARTY,
    "created": st.integers(0, 10**12).map(lambda ms: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)),
    "exercise": st.booleans(),
    "nonce": st.binary(min_size=16, max_size=16).map(canonical.b64url_encode),
    "parents": st.frozensets(_ids(Digest), max_size=4).map(lambda found: tuple(sorted(found))),
}
CASEWORK = st.builds(
    Header,
    **COMMON,
    type=st.sampled_from(["family-tracing.request", "a.b", "a-1.b-2"]).map(MessageType),
    language=st.sampled_from(["et", "fi", "sr-Latn-RS", "en-GB"]),
    urgency=st.sampled_from(list(Urgency)),
    purpose=LINE,
    legal_basis=st.builds(LegalBasis, code=st.sampled_from(["B2B_80_1_B", "NATIONAL_LAW", "AGREEMENT"]), citation=LINE),
    case_ref=st.none() | _ids(CaseRef),
    procedure=REF,
)
NODE = st.builds(Header, **COMMON | {"parents": st.just(())}, type=st.just(MessageType("node.receipts")))


@settings(max_examples=60, deadline=None)
@given(header=CASEWORK | NODE)
def test_what_is_encoded_fits_the_schema_and_reads_back(header):
    """The JSON form of any header fits the schema and is read back as the same header."""
    data = encode_header(header)

    assert validator().is_valid(data)
    assert decode_header(data) == header


@settings(max_examples=20, deadline=None)
@given(header=NODE)
def test_what_a_node_itself_says_names_no_parents(header):
    """It is no part of a record (PROTOCOL 4.2)."""
    assert not validator().is_valid(encode_header(replace(header, parents=(Digest("0" * 64),))))


ODD = st.sampled_from(
    [None, True, 1, 1.0, "", " ", "x", "EE", "EL", "ee", "1.0", "01.0", "1", "2026-02-30T00:00:00.000Z", "2026-02-03T24:00:00.000Z",
     "2026-02-03T00:00:00Z", "2026-02-03T00:00:00.000+00:00", "A" * 22, "A" * 21 + "B", "A" * 21 + "=", "CR-" + "0" * 20, "EX-CR-" + "0" * 20,
     "EX-CR-" + "0" * 21, "0" * 64, "0" * 63, "G" * 64, ["0" * 64], ["0" * 64, "0" * 64], ["1" * 64, "0" * 64], [1], {}, {"country": "EE"}, [],
     "node", "-a", "a" * 63, "a" * 64, "URGENT", "urgent", "a.b", "a..b", "node.receipts", "١", "x\n"]
)  # fmt: skip
# Where the schema says more than the types do: bounds of texts, codes, and what casework and receipts each need.
NARROWER = (
    "/parents",
    "/language",
    "/purpose",
    "/legal_basis",
    "/urgency",
    "/procedure",
    "/case_ref",
    "/created",
    "/type",
)


@settings(max_examples=100, deadline=None)
@given(header=CASEWORK | NODE, data=st.data())
def test_a_changed_header_is_judged_alike(header, data):
    """After any one change, schema and types agree but for the differences that the manual names."""
    changed = copy.deepcopy(encode_header(header))
    place = changed
    if data.draw(st.booleans()):
        inner = sorted(name for name, item in changed.items() if isinstance(item, dict))
        place = changed[data.draw(st.sampled_from(inner))]
    name = data.draw(st.sampled_from([*sorted(place), "näidis".encode().hex(), "case_ref", "citation"]))
    if name in place and data.draw(st.booleans()):
        del place[name]
    else:
        place[name] = data.draw(ODD)
    try:
        decode_header(changed)
        decoded = True
    except HeaderInvalid:
        decoded = False

    if validator().is_valid(changed) and not decoded:
        parents = changed["parents"]
        assert parents != sorted(parents) or "02-30" in changed["created"]
    if decoded and not validator().is_valid(changed):
        pointers = ["/" + "/".join(map(str, error.instance_path)) for error in validator().iter_errors(changed)]
        assert all(pointer == "/" or pointer.startswith(NARROWER) for pointer in pointers)
