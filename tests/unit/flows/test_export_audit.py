# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A part of the trail as one signed file."""

from __future__ import annotations

import json
from datetime import timedelta

from broker.core.audit import AuditReason, Who
from broker.core.ids import ProcedureId
from broker.core.roles import AuditRole
from broker.flows.export_audit import ExportAudit, Given
from broker.rows import AuditFilter
from broker.testing.world import Country, World
from broker.trail_file import FileVerdict, check_file

WHO = Who(actor="cli:someone", role=AuditRole.OPERATOR)
WHY = AuditReason.SUPERVISORY_AUTHORITY


async def exported(country: Country, wanted: AuditFilter) -> tuple[list[bytes], Given]:
    """Return the lines of an export."""
    linking = country.engine.link_audit
    give = ExportAudit(
        us=country.us,
        store=country.store,
        trust=country.trust,
        vault=linking._vault,
        clock=country.clock,
        settle=linking.settle,
        member_then=lambda reader, raw: country.trust.current().members[country.us],
    )
    pieces: list[bytes] = []
    given = await give(wanted, WHO, reason=WHY, write=pieces.append)
    return b"".join(pieces).splitlines(keepends=True), given


def judged(country: Country, lines: list[bytes]) -> FileVerdict:
    """Check the file on another machine that has the trust list."""
    return check_file(lines, country.trust.current().members[country.us])


async def test_the_whole_trail_is_given_with_the_entry_about_giving_it(world: World) -> None:
    """Every entry is shown, the last one says who gave it out and why, and the file is in order by itself."""
    ee = world["EE"]
    await ee.submit("request.json")
    lines, given = await exported(ee, AuditFilter())
    verdict = judged(ee, lines)
    assert (verdict.intact, verdict.entries, verdict.shown, verdict.listed) == (True, 2, 2, True)
    assert (given.first, given.last, given.bytes > 0) == (1, 2, True)
    last = json.loads(lines[-3])["entry"]
    assert (last["action"], last["actor"], last["role"]) == ("trail-exported", "cli:someone", "operator")
    assert last["reason"] == "supervisory-authority"
    alone = check_file(lines, None)
    assert (alone.intact, alone.listed, alone.kids) == (True, False, verdict.kids)


async def test_what_the_filter_leaves_out_stands_there_as_its_digest(world: World) -> None:
    """Of another case nothing is told, and the chain can still be followed over it."""
    ee = world["EE"]
    one, other = [await ee.submit("request.json") for _ in range(2)]
    lines, _ = await exported(ee, AuditFilter(procedures=(one.procedure,)))
    verdict = judged(ee, lines)
    assert (verdict.intact, verdict.entries, verdict.shown) == (True, 3, 1)
    whole = b"".join(lines)
    assert one.message.encode() in whole
    assert other.message.encode() not in whole
    assert other.procedure.encode() not in whole
    nothing, _ = await exported(ee, AuditFilter(procedures=(ProcedureId("01920000-0000-7000-8000-000000000009"),)))
    assert judged(ee, nothing).shown == 0


async def test_a_period_begins_and_ends_at_signed_heads(world: World) -> None:
    """Days before the period are not in the file, and a signed head proves that nothing of the period is left out."""
    ee = world["EE"]
    begin = world.clock.now()
    for day in range(4):
        await ee.submit("request.json")
        await ee.engine.link_audit()
        world.clock.advance(24 * 3600)
        assert day < 4
    wanted = AuditFilter(since=begin + timedelta(days=1, hours=-1), until=begin + timedelta(days=2, hours=-1))
    lines, given = await exported(ee, wanted)
    verdict = judged(ee, lines)
    assert (verdict.intact, verdict.shown, given.first, given.last) == (True, 1, 2, 3)
    assert json.loads(lines[0])["start"] is not None
