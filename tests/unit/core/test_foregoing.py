# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""No message carries around a safeguard what an earlier one could not have said."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.corrected import as_corrected
from broker.core.ids import CaseRef, CountryCode, Digest, MessageType
from broker.core.messages import ValidMessage
from broker.core.reasons import Earlier
from broker.core.safeguards import Blocked, Cleared, Decision, Held, decide, weighs, weighs_for_good
from broker.schema_files import load_catalogue
from broker.testing.valid_messages import valid_message

ROOT = Path(__file__).parents[3] / "schemas"
EXAMPLES = [json.loads(path.read_text("utf-8")) for path in sorted((ROOT / "examples").rglob("*.json"))]
EE, FI = CountryCode("EE"), CountryCode("FI")
TARGET = Digest("3f" * 32)
REQUEST: Mapping[str, Any] = next(one["body"] for one in EXAMPLES if one["type"] == "family-tracing.request")
PROTECTING = {"withdrawal", "alarm-closed", "stop", "stand-down", "suspension"}
FINNISH: Mapping[str, Any] = {"child__nationalities": {"value": ["FI"]}}


def _message(kind: str, body: Any, *, to: CountryCode = FI) -> ValidMessage:
    return valid_message(kind, body, recipient=f"{to}/central-authority", case_ref=CaseRef("CR-" + "0" * 20))


def _request(**parts: Any) -> dict[str, Any]:
    body: dict[str, Any] = copy.deepcopy(dict(REQUEST))
    body["family_protection_claims"] = {"not_applicable": True}
    for pointer, value in parts.items():
        holder, _, name = pointer.rpartition("__")
        place = body
        for step in holder.split("__") if holder else ():
            place = place[step]
        place[name] = value
    return body


def _earlier(
    body: Any, *, kind: str = "family-tracing.request", digest: Digest = TARGET, by: CountryCode = EE
) -> Earlier:
    return Earlier(type=MessageType(kind), digest=digest, author=by, body=body)


def _correction(*fields: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {"target": TARGET, "kind": "RECTIFY", "fields": [{"pointer": place, "now": now} for place, now in fields]}


def _codes(decision: Decision) -> set[str]:
    return set() if isinstance(decision, Cleared) else {reason.code for reason in decision.reasons}


def _level(decision: Decision) -> int:
    return [Cleared, Held, Blocked].index(type(decision))


CLEAN = _earlier(_request())
FEARED = _earlier(
    _request(protection_claim={"status": "PENDING"}, child__nationalities={"value": ["FI"]}),
    digest=Digest("aa" * 32),
    by=FI,
)
ENDANGERED = _earlier(
    {"danger_assessment": {"would_endanger": "YES", "outcome": "SERIOUS_DANGER"}},
    kind="family-tracing.result", digest=Digest("bb" * 32), by=FI,
)  # fmt: skip


def _every_type() -> list[tuple[str, Any]]:
    """Return one body of each casework type of a procedure about a child; a shared act's for each family."""
    catalogue = load_catalogue()
    shown = {one["type"]: one["body"] for one in EXAMPLES}
    acts = {one["type"].partition(".")[2]: one["body"] for one in EXAMPLES}
    about_child = {table.procedure for table in catalogue.tables() if table.has_subject}
    return [
        (kind, shown.get(kind) or acts.get(kind.act, {"closed_by": {}, "measures": "x"}))
        for kind in catalogue.types()
        if kind.procedure in about_child
    ]


def test_no_type_reaches_a_country_that_the_record_says_is_fled_from() -> None:
    """R-01 stops every act of every family; alone what protects somebody at once goes out, without remarks."""
    for kind, shown in _every_type():
        body = {**shown, "note": "Test-Mari is well."}
        assert isinstance(decide(_message(kind, body), (CLEAN, FEARED)), Blocked), kind
        if kind.partition(".")[2] in PROTECTING:
            assert isinstance(decide(_message(kind, shown), (CLEAN, FEARED)), Cleared), kind


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"protection_claim": {"status": "PENDING"}, **FINNISH}, "contact-with-origin"),
        ({"protection_claim": {"status": "PENDING", "feared_states": {"value": ["FI"]}}}, "contact-with-feared"),
        (
            {"protection_claim": {"status": "TEMPORARY_PROTECTION"}, "danger_assessment__outcome": "SERIOUS_DANGER", **FINNISH},
            "temporary-protection-danger",
        ),
    ],
)  # fmt: skip
def test_whatever_forbids_contact_forbids_the_shortest_status(told: Mapping[str, Any], code: str) -> None:
    """R-01: by its origin, by whom it fears, or in danger under temporary protection: there is no contact at all."""
    recorded = _earlier(_request(**told), digest=FEARED.digest, by=FI)
    decision = decide(_message("family-tracing.status", {"next_step": "x"}), (CLEAN, recorded))
    assert isinstance(decision, Blocked)
    assert code in _codes(decision)


def test_what_was_done_about_a_correction_gets_out_with_all_that_its_answer_has() -> None:
    """GDPR 19: whoever asked for an erasure hears of it, whatever the record says; not with a remark."""
    done = next(one["body"] for one in EXAMPLES if one["type"] == "correction.report")
    assert set(done) == {"outcomes", "told", "person_told_on", "done_by"}
    assert isinstance(decide(_message("correction.report", done), (CLEAN, FEARED, ENDANGERED)), Cleared)
    assert isinstance(decide(_message("correction.report", {**done, "note": "x"}), (CLEAN, FEARED)), Blocked)


def test_no_type_says_more_where_the_newest_assessment_sees_danger() -> None:
    """R-02 stops whatever states no assessment of its own; what states one is judged by that."""
    for kind, shown in _every_type():
        if "danger_assessment" not in shown:
            decision = decide(_message(kind, {**shown, "note": "x"}), (CLEAN, ENDANGERED))
            assert "would-endanger" in _codes(decision), kind
            assert isinstance(decision, Blocked), kind


def test_words_wait_for_a_second_person_where_nobody_assessed_the_danger() -> None:
    """Without any assessment at hand a status is held, and so is everything else that states none."""
    for kind, shown in _every_type():
        if "danger_assessment" not in shown:
            assert "danger-not-known" in _codes(decide(_message(kind, {**shown, "note": "x"}))), kind


def test_a_refusal_on_the_ground_of_danger_always_gets_out() -> None:
    """It says nothing else by its schema, and whoever asks must get some answer."""
    body = {"ground": "INFO_WOULD_ENDANGER", "explanation": {"withheld": "DANGER"}}
    assert isinstance(decide(_message("family-tracing.refusal", body), (CLEAN, FEARED, ENDANGERED)), Cleared)


def test_a_message_about_no_child_needs_no_assessment() -> None:
    """A procedure without a subject names nobody, by its schemas."""
    message = _message("consultation.status", {"note": "x"})
    assert isinstance(decide(replace(message, header=replace(message.header, case_ref=None))), Cleared)


def test_words_in_the_place_of_an_assessment_are_none() -> None:
    """An answer that was about nobody, corrected to any words: the assessment before it decides."""
    words = {"danger_assessment": {"value": "would_endanger"}}
    answer = _earlier(words, kind="family-tracing.clarification-answer", digest=Digest("dd" * 32))
    status = _message("family-tracing.status", {"next_step": "x"})
    assert isinstance(decide(status, (CLEAN, answer)), Cleared)
    assert isinstance(decide(status, (ENDANGERED, answer)), Blocked)


def test_the_newest_assessment_decides_and_a_correction_of_one_is_the_newest() -> None:
    """An older YES is past; a corrected assessment counts as made when it was corrected."""
    status = _message("family-tracing.status", {"next_step": "x"})
    assert isinstance(decide(status, (ENDANGERED, CLEAN)), Cleared)
    told = _earlier(
        {"target": ENDANGERED.digest, "fields": [{"pointer": "/danger_assessment/would_endanger", "now": {"value": "NO"}}]},
        kind="family-tracing.correction", digest=Digest("cc" * 32), by=FI,
    )  # fmt: skip
    assert isinstance(decide(status, (CLEAN, ENDANGERED)), Blocked)
    assert isinstance(decide(status, (CLEAN, ENDANGERED, told)), Cleared)
    foreign = _earlier(told.body, kind="family-tracing.correction", digest=told.digest, by=EE)
    assert isinstance(decide(status, (CLEAN, ENDANGERED, foreign)), Blocked)  # nobody corrects another's message


PLACES: dict[str, Sequence[str]] = {
    "/child/nationalities": ["FI", "LV", "LV, FI", "fi"],
    "/child/nationalities/value": ["FI", "LV;FI"],
    "/child/nationalities/value/0": ["FI", "LV"],
    "/child/former_habitual_residence": ["FI", "LV"],
    "/protection_claim/status": ["NONE", "PENDING", "GRANTED", "WITHDRAWN", "NOT_RECORDED", "granted"],
    "/protection_claim/feared_states": ["FI", "LV FI", "LV"],
    "/persons_sought/0/nationalities": ["FI", "LV"],
    "/persons_sought/0/protection_claim/status": ["PENDING", "NONE"],
    "/danger_assessment/would_endanger": ["YES", "UNKNOWN", "NO"],
    "/danger_assessment/outcome": ["SERIOUS_DANGER", "NO_DANGER_SEEN"],
    "/child_wish/heard/wants_tracing": ["NO", "YES"],
}
LISTS = {"/child/nationalities", "/child/former_habitual_residence", "/protection_claim/feared_states"}
LISTS |= {"/persons_sought/0/nationalities", "/child/nationalities/value"}


def _said_at_once(body: Any, place: str, text: str) -> Any:
    """Return the body as its author would have written it in the first place."""
    changed = copy.deepcopy(body)
    *path, last = place.split("/")[1:]
    holder = changed
    for step in path:
        holder = holder[int(step) if isinstance(holder, list) else step]
    countries = text.upper().replace(",", " ").replace(";", " ").split()
    if place.endswith("/value"):
        holder[last] = countries
    elif place in LISTS:
        holder[last] = {"value": countries}
    else:
        holder[int(last) if isinstance(holder, list) else last] = text.upper()
    return changed


@settings(max_examples=200, deadline=None)
@given(
    fields=st.lists(st.sampled_from([(place, text) for place, texts in PLACES.items() for text in texts]),
                    min_size=1, max_size=3, unique_by=lambda field: field[0].removesuffix("/0").removesuffix("/value")),
    family=st.sampled_from(["family-tracing.correction", "correction.rectify"]),
    claim=st.sampled_from(["NONE", "PENDING", "NOT_RECORDED"]),
)  # fmt: skip
def test_a_correction_is_judged_as_the_message_would_be_that_said_so_first(
    fields: list[tuple[str, str]], family: str, claim: str
) -> None:
    """Whatever is corrected to whatever: at least as strictly as at the first time."""
    before = _request(protection_claim={"status": claim})
    first = before
    for place, text in fields:
        first = _said_at_once(first, place, text)
    body = _correction(*((place, {"value": text}) for place, text in fields))
    body["targets"] = [TARGET]
    earlier = decide(_message("family-tracing.request", before))
    said = decide(_message("family-tracing.request", first))
    decision = decide(_message(family, body), (_earlier(before),))
    if not _codes(said) <= _codes(earlier) or isinstance(said, Blocked):
        assert _level(decision) >= _level(said)
        assert _codes(said) - _codes(earlier) <= _codes(decision)


@pytest.mark.parametrize(
    ("field", "now", "code", "outcome"),
    [
        ("/child/birth/value/date", {"value": "2015-04-02"}, None, Cleared),
        ("/child/name/given", {"value": "Test-Mari"}, None, Cleared),
        ("/child/nationalities", {"unknown": True}, None, Cleared),
        ("/child/nationalities", {"value": "Finland, perhaps"}, "correction-not-a-code", Held),
        ("/child/nationalities/value/0", {"value": "Finland"}, "correction-not-a-code", Held),
        ("/child/nationalities/value/0", {"value": "LV"}, None, Cleared),
        ("/child/former_habitual_residence", {"value": "Finland, perhaps"}, "correction-not-a-code", Held),
        ("/child/nationality", {"value": "FI"}, "correction-without-place", Held),
        ("/child", {"value": "Test-Mari"}, "correction-of-a-whole-part", Held),
        ("/persons_sought", {"value": "Test-Mari"}, "correction-of-a-whole-part", Held),
        ("/separation/place/value", {"value": "Tartu"}, "correction-of-a-whole-part", Held),
        ("/danger_assessment/would_endanger", {"unknown": True}, "danger-not-known", Blocked),
        ("/protection_claim/status", {"unknown": True}, None, Cleared),
        ("/child_wish/heard/wants_tracing", {"value": "The child says no."}, "correction-in-words", Held),
        ("/approach", {"value": "no visit"}, "correction-in-words", Held),
        ("/approach", {"value": "RECORDS_ONLY"}, None, Cleared),
        ("/approach", {"unknown": True}, None, Cleared),
        ("/child/sex", {"value": "a girl"}, "correction-in-words", Held),
    ],
)  # fmt: skip
def test_what_cannot_be_put_in_its_place_is_held(field: str, now: Any, code: str | None, outcome: type) -> None:
    """A code, a text and a fact that is not known any more are put there; a part in words is not."""
    decision = decide(_message("family-tracing.correction", _correction((field, now))), (CLEAN,))
    assert isinstance(decision, outcome)
    assert code is None or code in _codes(decision)


@pytest.mark.parametrize("text", ["FI", " fi", "LV FI", "LV, fi", "SE/LV;FI"])
def test_several_countries_in_the_place_of_one_are_each_of_them(text: str) -> None:
    """R-01: whoever may release words in the place of a code releases no contact with the country that is fled from."""
    told = _earlier(_request(protection_claim={"status": "PENDING"}, child__nationalities={"value": ["EE", "LV"]}))
    for place in ("/child/nationalities", "/child/nationalities/value", "/child/nationalities/value/0"):
        decision = decide(_message("family-tracing.correction", _correction((place, {"value": text}))), (told,))
        assert isinstance(decision, Blocked), place
        assert "contact-with-origin" in _codes(decision), place
    first = _correction(
        ("/child/nationalities/value/0", {"value": text}), ("/child/nationalities/value/1", {"value": "SE"})
    )
    sent = _earlier(first, kind="family-tracing.correction", digest=Digest("ee" * 32))
    (reads, _) = as_corrected((told, sent))
    nationalities = reads.body["child"]["nationalities"]["value"]
    assert "FI" in nationalities
    assert nationalities[1] == "SE"
    assert isinstance(decide(_message("family-tracing.status", {"next_step": "x"}), (told, sent)), Blocked)


def test_what_is_no_correction_restricts_nothing() -> None:
    """Whatever members it has: only the acts that correct change what is on record."""
    answer = {"target": TARGET, "kind": "ERASE", "fields": [{"pointer": "/child/sex", "now": {"value": "MALE"}}]}
    other = _earlier(answer, kind="family-tracing.status", digest=Digest("ee" * 32))
    assert as_corrected((CLEAN, other)) == (CLEAN, other)


def test_a_name_in_capitals_is_no_code() -> None:
    """A register that writes TAMM may be put right without a second person."""
    told = _earlier(_request(child__name__family={"value": "TAMM"}, child__aliases=["TAMM"]))
    for place in ("/child/name/family", "/child/name/family/value", "/child/aliases/0"):
        message = _message("family-tracing.correction", _correction((place, {"value": "Tamm-Näidis"})))
        assert isinstance(decide(message, (told,)), Cleared), place


def test_a_sealed_place_is_never_told_openly_and_a_withheld_one_not_unseen() -> None:
    """R-03: a correction does not undo what the first message kept back."""
    hidden = _request()
    hidden["whereabouts"] = {"value": {"kid": "k", "jwe": {}}}
    hidden["child"]["place_of_birth"] = {"withheld": "DANGER"}
    for place in ("/whereabouts", "/whereabouts/value", "/whereabouts/value/place", "/whereabouts/value/jwe/tag"):
        decision = decide(
            _message("family-tracing.correction", _correction((place, {"value": "x"}))), (_earlier(hidden),)
        )
        assert "correction-of-a-sealed-part" in _codes(decision), place
        assert isinstance(decision, Blocked)
    for place in ("/child/place_of_birth", "/child/place_of_birth/value"):
        told = _message("family-tracing.correction", _correction((place, {"value": "Tartu"})))
        assert _codes(decide(told, (_earlier(hidden),))) == {"correction-tells-what-was-withheld"}
        kept = _message("family-tracing.correction", _correction((place, {"unknown": True})))
        assert isinstance(decide(kept, (_earlier(hidden),)), Cleared)


def test_a_correction_of_a_message_that_is_not_here_or_not_ours_is_held() -> None:
    """Nobody could judge what it makes of that message."""
    message = _message("family-tracing.correction", _correction(("/child/name/given", {"value": "x"})))
    other = _earlier(_request(), digest=Digest("dd" * 32))
    assert _codes(decide(message, (other,))) == {"corrected-message-missing"}
    assert _codes(decide(message, (_earlier(_request(), by=FI),))) == {"corrected-message-missing"}


def test_a_correction_of_a_correction_is_judged_by_what_the_message_would_say() -> None:
    """R-01, R-02: our own correction is no way around: neither its new words, nor what they make of a country or a part."""
    first = _correction(("/protection_claim/status", {"value": "PENDING"}), ("/child/nationalities", {"value": "LV"}))
    sent = _earlier(first, kind="family-tracing.correction", digest=Digest("ee" * 32))
    for now, code in (("FI", "contact-with-origin"), ("Finland, perhaps", "correction-not-a-code"), ("SE", None)):
        again = {**_correction(("/fields/1/now", {"value": now})), "target": sent.digest}
        decision = decide(_message("family-tracing.correction", again), (CLEAN, sent))
        assert _codes(decision) - {"correction-in-words"} == ({code} if code else set()), now


def test_no_correction_of_ours_changes_the_message_that_is_judged() -> None:
    """It has no digest yet: one that names a digest of nothing but noughts is corrected like any other."""
    astray = {**_correction(("/purpose", {"value": "Test"})), "target": "0" * 64}
    first = _earlier(astray, kind="family-tracing.correction", digest=Digest("bb" * 32))
    again = {**_correction(("/fields/0/now/value", {"value": "Test again"})), "target": first.digest}
    decision = decide(_message("family-tracing.correction", again), (CLEAN, first))
    assert isinstance(decision, Cleared)


def test_the_corrections_of_one_message_count_in_their_order_and_those_of_corrections_first() -> None:
    """A chain as long as a record is read; what another side says about a correction is nothing."""
    chain = [_earlier(_correction(("/protection_claim/status", {"value": "NONE"})), kind="family-tracing.correction",
                      digest=Digest(f"{0:064x}"))]  # fmt: skip
    for number in range(1, 2000):
        body = {**_correction(("/fields/0/now", {"value": "PENDING" if number == 1998 else "NONE"}))}
        body["target"], by = chain[-1].digest, FI if number == 1999 else EE
        chain.append(_earlier(body, kind="family-tracing.correction", digest=Digest(f"{number:064x}"), by=by))
    told = {one.digest: one.body for one in as_corrected([CLEAN, *chain])}
    assert told[TARGET]["protection_claim"]["status"] == "PENDING"
    later = _earlier(_correction(("/protection_claim/status", {"value": "GRANTED"})), kind="family-tracing.correction",
                     digest=Digest("ff" * 32))  # fmt: skip
    told = {one.digest: one.body for one in as_corrected([CLEAN, *chain, later])}
    assert told[TARGET]["protection_claim"]["status"] == "GRANTED"


def test_whose_correction_was_taken_back_is_judged_with_it_and_without() -> None:
    """R-01: it is not known which of the two holds, until its author says so anew."""
    claim = _earlier(_correction(("/protection_claim/status", {"value": "PENDING"}), ("/child/nationalities", {"value": "FI"})),
                     kind="correction.rectify", digest=Digest("ee" * 32))  # fmt: skip
    status = _message("family-tracing.status", {"next_step": "x"})
    assert isinstance(decide(status, (CLEAN, replace(claim, withdrawn=True))), Blocked)
    anew = replace(claim, digest=Digest("ff" * 32), body=_correction(("/protection_claim/status", {"value": "NONE"})))
    assert isinstance(decide(status, (CLEAN, replace(claim, withdrawn=True), anew)), Cleared)


def test_two_corrections_are_judged_together() -> None:
    """What each could say alone may not be said in two steps."""
    first = _correction(("/protection_claim/status", {"value": "PENDING"}))
    second = _correction(("/child/nationalities", {"value": "FI"}))
    assert isinstance(decide(_message("family-tracing.correction", first), (CLEAN,)), Cleared)
    assert isinstance(decide(_message("family-tracing.correction", second), (CLEAN,)), Cleared)
    sent = _earlier(first, kind="family-tracing.correction", digest=Digest("ee" * 32))
    assert "contact-with-origin" in _codes(decide(_message("family-tracing.correction", second), (CLEAN, sent)))


def test_what_a_second_person_decided_is_not_asked_again() -> None:
    """A first message that was held and released does not hold each status after it; a correction does not reopen it."""
    held = _earlier(_request(protection_claim={"status": "NOT_RECORDED"}, child__nationalities={"value": ["FI"]}))
    assert isinstance(decide(_message("family-tracing.request", held.body)), Held)
    assert isinstance(decide(_message("family-tracing.status", {"next_step": "x"}), (held,)), Cleared)
    harmless = _correction(("/child/name/given", {"value": "Test-Mari"}))
    assert isinstance(decide(_message("family-tracing.correction", harmless), (held,)), Cleared)


def test_what_weighs_in_later_decisions_is_known_by_type() -> None:
    """Claims and corrections weigh for good, assessments of danger while they are new, an acknowledgement never."""
    assert weighs_for_good(MessageType("family-tracing.request"))
    assert weighs_for_good(MessageType("transfer.correction"))
    assert weighs_for_good(MessageType("correction.erase"))
    result = MessageType("family-tracing.result")
    assert weighs(result)
    assert not weighs_for_good(result)
    assert not weighs(MessageType("family-tracing.acknowledgement"))


RELATIVE = {"claim": {"status": "PENDING"}, "nationalities": {"value": ["LV"]}}


@pytest.mark.parametrize(
    ("field", "now", "held"),
    [
        ("/protection_claim/status", {"value": "NONE"}, True),
        ("/protection_claim/status", {"value": "NOT_RECORDED"}, True),
        ("/protection_claim/status", {"unknown": True}, True),
        ("/protection_claim/status", {"value": "GRANTED"}, False),
        ("/protection_claim/status", {"value": "WITHDRAWN"}, False),
        ("/family_protection_claims", {"not_applicable": True}, True),
        ("/family_protection_claims/value/0/claim/status", {"value": "NONE"}, True),
        ("/family_protection_claims/value/0/claim/status", {"value": "REJECTED_FINAL"}, False),
        ("/child/name/given", {"value": "Test-Mari"}, False),
    ],
)  # fmt: skip
def test_a_recorded_claim_is_taken_back_by_two_persons(field: str, now: Mapping[str, Any], held: bool) -> None:
    """R-01: the addressed country may write to the State fled from, once it reads that there was no claim."""
    told = _earlier(
        _request(
            protection_claim={"status": "PENDING"}, child__nationalities={"value": ["LV"]},
            family_protection_claims={"value": [RELATIVE]},
        )
    )  # fmt: skip
    decision = decide(_message("family-tracing.correction", _correction((field, now))), (told,))
    assert ("claim-dropped" in _codes(decision), isinstance(decision, Held)) == (held, held)


def test_a_message_that_says_anew_what_is_recorded_takes_no_claim_back_unseen() -> None:
    """R-01: a second request is held against the newest one of our side, as it reads now; the other side's is its own."""
    claimed = _earlier(_request(protection_claim={"status": "PENDING"}, child__nationalities={"value": ["LV"]}))
    again = _message("family-tracing.request", _request(child__nationalities={"value": ["LV"]}))
    assert _codes(decide(again, (claimed,))) == {"claim-dropped"}
    assert isinstance(decide(again, (replace(claimed, author=FI),)), Cleared)
    released = _earlier(_correction(("/protection_claim/status", {"value": "NONE"})), kind="family-tracing.correction",
                        digest=Digest("ee" * 32))  # fmt: skip
    assert isinstance(decide(again, (claimed, released)), Cleared)
