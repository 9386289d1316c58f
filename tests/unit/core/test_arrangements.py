# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the arrangement register."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import orjson
import pytest

from broker.core.arrangements import (
    ALWAYS,
    Arrangement,
    ArrangementRegister,
    ArrangementStatus,
    Cover,
    check_message,
    exchangeable,
    judge,
)
from broker.core.errors import Actor, NotArranged
from broker.core.ids import (
    ArrangementId,
    AuthorityId,
    CountryCode,
    Digest,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)
from broker.core.messages import Header, Party, ProcedureRef
from broker.core.procedures import ActKind
from broker.core.tables import parse_table
from broker.schema_files import read_schema_file

EE, FI, SE = map(CountryCode, ("EE", "FI", "SE"))
FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)
DAY = timedelta(days=1)
TRACING = Arrangement(
    id=ArrangementId("example-tracing"),
    title="Example",
    agreement="Made up",
    source="tests",
    members=frozenset({EE, FI}),
    procedures=frozenset({"family-tracing"}),
    first_day=FIRST,
    last_day=LAST,
)
REGISTER = ArrangementRegister(arrangements=(TRACING,))


@pytest.mark.parametrize(
    ("day", "cover"),
    [(FIRST - DAY, Cover.NOT_YET), (FIRST, Cover.COVERED), (LAST, Cover.COVERED), (LAST + DAY, Cover.ENDED)],
)
def test_an_arrangement_holds_from_its_first_to_its_last_day(day: date, cover: Cover) -> None:
    """Both days are included, and the reason names the arrangement."""
    judged = judge(REGISTER, "family-tracing", EE, FI, day)
    assert judged.cover is cover
    assert judged.allowed is (cover is Cover.COVERED)
    assert TRACING.id in judged.sentence


def test_what_no_arrangement_covers_is_missing() -> None:
    """Another procedure, another country, or the same country twice: there is none, and nothing is named."""
    for procedure, one, other in (("placement", EE, FI), ("family-tracing", EE, SE), ("family-tracing", EE, EE)):
        judged = judge(REGISTER, procedure, one, other, FIRST)
        assert (judged.cover, judged.allowed, judged.arrangements) == (Cover.MISSING, False, ())
        assert procedure in judged.sentence


def test_a_suspended_arrangement_covers_no_day() -> None:
    """Suspension goes before the days."""
    register = ArrangementRegister(arrangements=(replace(TRACING, status=ArrangementStatus.SUSPENDED),))
    for day in (FIRST - DAY, FIRST, LAST + DAY):
        assert judge(register, "family-tracing", EE, FI, day).cover is Cover.SUSPENDED


def test_one_arrangement_in_force_is_enough() -> None:
    """A suspended or ended one beside it takes nothing away."""
    other = replace(TRACING, id=ArrangementId("example-old"), status=ArrangementStatus.SUSPENDED)
    judged = judge(ArrangementRegister(arrangements=(other, TRACING)), "family-tracing", FI, EE, FIRST)
    assert judged.arrangements == (TRACING,)


@pytest.mark.parametrize("procedure", sorted(ALWAYS))
def test_danger_waits_for_no_arrangement(procedure: str) -> None:
    """Notices of danger, receipts and federation matters are exchanged under any register, an empty one too."""
    for register in (None, ArrangementRegister(), REGISTER):
        assert judge(register, procedure, EE, SE, FIRST).cover is Cover.ALWAYS


def test_without_a_register_everything_is_allowed_and_with_an_empty_one_nothing() -> None:
    """No register and an empty register are two different things."""
    assert judge(None, "placement", EE, SE, FIRST).cover is Cover.NO_REGISTER
    assert judge(None, "placement", EE, SE, FIRST).allowed
    assert not judge(ArrangementRegister(), "placement", EE, SE, FIRST).allowed


def test_all_procedures_between_two_members_are_judged() -> None:
    """Every procedure that the register names is answered, and those that need no arrangement."""
    placement = replace(
        TRACING, id=ArrangementId("example-placement"), procedures=frozenset({"placement"}), members=frozenset({EE, SE})
    )
    judged = exchangeable(ArrangementRegister(arrangements=(TRACING, placement)), EE, FI, FIRST)
    assert {item.procedure: item.cover for item in judged} == {
        "correction": Cover.ALWAYS,
        "danger-notice": Cover.ALWAYS,
        "family-tracing": Cover.COVERED,
        "federation": Cover.ALWAYS,
        "node": Cover.ALWAYS,
        "placement": Cover.MISSING,
    }


def test_an_arrangement_is_between_two_about_something_for_some_time() -> None:
    """One member, no procedure, or an end before the beginning cannot be made."""
    for broken in ({"members": frozenset({EE})}, {"procedures": frozenset()}, {"last_day": FIRST - DAY}):
        with pytest.raises(ValueError, match="arrangement"):
            replace(TRACING, **broken)  # type: ignore[arg-type]  # one wrong field each


def test_two_arrangements_have_two_ids() -> None:
    """An id names one arrangement; others are not found."""
    with pytest.raises(ValueError, match="one id"):
        ArrangementRegister(arrangements=(TRACING, replace(TRACING, title="Another")))
    assert REGISTER.find(TRACING.id) is TRACING
    assert REGISTER.find(ArrangementId("another")) is None


# --- the message -----------------------------------------------------------------------------------------------------

TABLE = parse_table(orjson.loads(read_schema_file("procedures/family-tracing.json")))


def _id(day: date) -> str:
    milliseconds = int(datetime.combine(day, time(12), UTC).timestamp() * 1000)
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7000-8000-000000000001"


def _header(act: str, *, written: date, opened: date | str) -> Header:
    number = opened if isinstance(opened, str) else _id(opened)
    ref = ProcedureRef(
        id=ProcedureId(number), name="family-tracing", version=SchemaVersion("1.0"), digest=Digest("0" * 64)
    )
    return Header(
        id=MessageId(_id(written)),
        type=MessageType(f"family-tracing.{act}"),
        version=SchemaVersion("1.0"),
        sender=Party(country=EE, authority=AuthorityId("desk")),
        recipient=Party(country=FI, authority=AuthorityId("desk")),
        created=datetime.combine(written, time(12), UTC),
        exercise=False,
        nonce="0" * 22,
        procedure=ref,
    )


@pytest.mark.parametrize(
    ("act", "written", "opened", "passes"),
    [
        ("request", LAST, LAST, True),
        ("request", LAST + DAY, LAST + DAY, False),
        ("request", LAST + DAY, LAST, False),  # an opening is written on the day of its opening
        ("request", FIRST - DAY, FIRST - DAY, False),
        ("result", LAST + DAY, LAST, True),  # what began under the arrangement is brought to its end
        ("result", LAST + DAY, LAST + DAY, False),
        ("result", LAST + DAY, "ffffffff-ffff-7fff-bfff-ffffffffffff", False),  # after year 9999
        ("withdrawal", LAST + DAY, LAST + DAY, True),
        ("alarm-closed", LAST + DAY, LAST + DAY, True),
        ("rumour", LAST + DAY, LAST, False),
    ],
)
def test_the_day_of_writing_decides_and_what_stops_always_passes(
    act: str, written: date, opened: date | str, passes: bool
) -> None:
    """An open case goes on after the arrangement's end, a new one does not begin, a withdrawal is never dropped."""
    header = _header(act, written=written, opened=opened)
    if passes:
        check_message(REGISTER, TABLE, header)
    else:
        with pytest.raises(NotArranged) as refused:
            check_message(REGISTER, TABLE, header)
        assert TRACING.id in refused.value.detail
        assert (refused.value.where, refused.value.who) == ("/type", Actor.FEDERATION)
    check_message(None, TABLE, header)


@pytest.mark.parametrize(
    ("act", "written", "opened", "arrived", "known", "passes"),
    [
        ("request", LAST, LAST, LAST + 7 * DAY, None, True),  # under way for a week
        ("request", FIRST, FIRST, FIRST + 3 * DAY, None, True),  # nothing covered it a week before it came, nor need it
        ("request", LAST - 30 * DAY, LAST, LAST + 3 * DAY, None, True),  # a week before it came is covered too
        ("request", LAST, LAST, LAST + 8 * DAY, None, False),  # an earlier day is quickly written
        ("request", LAST - 300 * DAY, LAST, LAST + 8 * DAY, None, False),
        ("request", FIRST - DAY, FIRST - DAY, FIRST + 20 * DAY, None, False),  # slowness covers nothing either
        ("result", LAST + 90 * DAY, LAST, LAST + 90 * DAY, LAST + 7 * DAY, True),  # known here since it was opened
        ("result", LAST + 90 * DAY, LAST, LAST + 90 * DAY, LAST + 8 * DAY, False),
        ("result", LAST + 90 * DAY, LAST, LAST + 90 * DAY, None, False),  # never heard of, and said to be old
        ("withdrawal", LAST, LAST, LAST + 90 * DAY, None, True),
    ],
)
def test_an_earlier_day_opens_nothing_that_has_ended(
    act: str, written: date, opened: date, arrived: date, known: date | None, passes: bool
) -> None:
    """What a message says of its own age is believed for a week before it arrived, and of its procedure likewise."""
    header = _header(act, written=written, opened=opened)
    seen, since = datetime.combine(arrived, time(12), UTC), datetime.combine(known or arrived, time(12), UTC)
    if passes:
        check_message(REGISTER, TABLE, header, arrived=seen, known=since)
    else:
        with pytest.raises(NotArranged):
            check_message(REGISTER, TABLE, header, arrived=seen, known=since)


def test_suspension_ends_open_cases_but_not_their_stops() -> None:
    """The federation's brake works at once, and still lets an enquiry be called off."""
    register = ArrangementRegister(arrangements=(replace(TRACING, status=ArrangementStatus.SUSPENDED),))
    with pytest.raises(NotArranged):
        check_message(register, TABLE, _header("result", written=LAST, opened=FIRST))
    check_message(register, TABLE, _header("withdrawal", written=LAST, opened=FIRST))


def test_what_has_happened_is_never_dropped() -> None:
    """A fact passes under an empty register; the same message as an act does not."""
    acts = dict(TABLE.acts)
    header = _header("result", written=FIRST, opened=FIRST)
    with pytest.raises(NotArranged):
        check_message(ArrangementRegister(), TABLE, header)
    acts["result"] = replace(acts["result"], kind=ActKind.FACT)
    check_message(ArrangementRegister(), replace(TABLE, acts=acts), header)
