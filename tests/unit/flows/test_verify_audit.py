# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Recomputing the stored trail; each kind of tampering at each place is tried on rows in tests/faults."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.core.audit import GENESIS, AuditAction, AuditRow, Head
from broker.core.checkpoints import Checkpoint
from broker.core.ids import CountryCode
from broker.flows.verify_audit import Verdict, VerifyAudit, WitnessStatement
from broker.security.checkpoints import sign_checkpoint
from broker.storage.schema import exclusively, parse_url, writing_engine
from broker.testing.compute import InlineCompute
from broker.testing.world import Country, World
from broker.vault import FileVault

EE, FI = CountryCode("EE"), CountryCode("FI")


async def verified(country: Country, *witnesses: WitnessStatement) -> Verdict:
    """Return the verdict about a country's trail."""
    check = VerifyAudit(
        us=country.us,
        store=country.store,
        compute=InlineCompute(),
        clock=country.clock,
        member_then=lambda reader, raw: country.trust.current().members[country.us],
    )
    return await check(witnesses)


def written(country: Country, statement: str) -> None:
    """Write into a country's database as somebody with its password would."""
    engine = writing_engine(parse_url(country.url))
    with exclusively(engine) as connection:
        assert connection.execute(text(statement)).rowcount >= 1
    engine.dispose()


async def worked(world: World) -> tuple[WitnessStatement, ...]:
    """Let Estonia work until Finland holds a head of its trail; return what Finland holds."""
    for _ in range(3):
        await world["EE"].submit("request.json")
    await world["EE"].engine.link_audit()
    await world.settle()
    world.clock.advance(60)
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.link_audit()
    await world.settle()
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world["EE"].engine.link_audit()
    await world.settle()
    await world["EE"].engine.link_audit()
    begin = Head(position=-1, chain=GENESIS.chain)
    kept = await world["FI"].store.read(lambda reader: reader.witnesses(EE, begin, 10))
    assert kept
    return tuple(WitnessStatement(raw=one.raw, held_by=FI) for one in kept)


async def test_an_honest_trail_is_proven_by_own_heads_and_by_what_others_hold(world: World) -> None:
    """Everything up to the newest signed head is proven; what waits for its link is no fault."""
    witnesses = await worked(world)
    await world["EE"].submit("request.json")
    verdict = await verified(world["EE"], *witnesses)
    assert (verdict.intact, verdict.findings, verdict.waiting) == (True, (), 1)
    assert (verdict.checkpoints, verdict.witnesses) == (1, len(witnesses))
    assert 0 < verdict.proven <= verdict.end.position


async def test_an_empty_trail_is_in_order(world: World) -> None:
    """Before anything was recorded there is nothing to find."""
    verdict = await verified(world["EE"])
    assert (verdict.intact, verdict.end, verdict.proven) == (True, GENESIS, 0)


TAMPERED = {
    "an entry is removed": ("DELETE FROM audit WHERE position = 2", "removed", 2),
    "who did it is changed": ("UPDATE audit SET actor = 'nobody' WHERE position = 2", "changed", 2),
    "when it was is changed": ("UPDATE audit SET at = at + 1 WHERE position = 2", "changed", 2),
    "the role is none of ours": ("UPDATE audit SET role = 'queen' WHERE position = 2", "changed", 2),
    "its digest is changed": ("UPDATE audit SET digest = chain WHERE position = 2", "changed", 2),
    "its link is changed": ("UPDATE audit SET chain = digest WHERE position = 2", "broken", 2),
    "it is unlinked": ("UPDATE audit SET position = NULL WHERE position = 2", "removed", 2),
    "the end is cut off": ("DELETE FROM audit WHERE position > 2", "cut-off", None),
}


@pytest.mark.parametrize("case", TAMPERED)
async def test_what_somebody_writes_into_the_database_is_found(world: World, case: str) -> None:
    """The finding says what is wrong and where, on the real tables."""
    statement, kind, place = TAMPERED[case]
    witnesses = await worked(world)
    written(world["EE"], statement)
    verdict = await verified(world["EE"], *witnesses)
    assert not verdict.intact
    assert verdict.findings[0].kind == kind
    assert place is None or verdict.findings[0].last == place


async def test_a_trail_that_was_linked_anew_is_found_by_what_another_country_holds(
    world: World, tmp_path: Path
) -> None:
    """Whoever forges the past, links it anew and throws the own checkpoints away contradicts Finland."""
    ee = world["EE"]
    witnesses = await worked(world)
    written(ee, "UPDATE audit SET actor = 'nobody' WHERE position = 1")
    written(ee, "UPDATE audit SET position = NULL, digest = NULL, chain = NULL")
    written(ee, "DELETE FROM audit_checkpoint")
    world.clock.advance(60)
    await ee.engine.link_audit()
    assert (await verified(ee)).intact
    verdict = await verified(ee, *witnesses)
    assert [(found.kind, found.first, found.held_by) for found in verdict.findings[:1]] == [("rewritten", 1, FI)]


async def test_an_entry_that_was_put_in_with_an_old_time_is_told_from_one_that_waits(world: World) -> None:
    """An entry outside of the chain is a fault where a later time was signed."""
    ee = world["EE"]
    await worked(world)
    written(ee, "INSERT INTO audit (at, actor, action, subject, detail) VALUES (1, 'x', 'read', 'x', '')")
    verdict = await verified(ee)
    assert [found.kind for found in verdict.findings] == ["outside"]
    assert [entry.row.actor for entry in verdict.outside] == ["x"]


async def test_the_newest_signed_head_says_what_should_have_been_linked(world: World) -> None:
    """An entry between the times of two heads is outside too; one of the last minutes waits for its turn."""
    ee = world["EE"]
    await worked(world)
    between = world.clock.now() + timedelta(minutes=30)
    world.clock.advance(3600)
    await ee.submit("request.json")
    await ee.engine.link_audit.settle()
    for at in (between, world.clock.now() - timedelta(minutes=14)):
        entry = AuditRow(at=at, actor="x", action=AuditAction.READ, subject="x")
        await ee.store.run(lambda tx, entry=entry: tx.audit(entry))
    verdict = await verified(ee)
    assert [entry.row.at for entry in verdict.outside] == [between]


async def test_a_head_that_was_signed_hours_ahead_makes_nothing_suspicious(world: World) -> None:
    """Every later one bears that time until it has come; what waits now is no entry that somebody put in, an old one is."""
    ee = world["EE"]
    await worked(world)
    ee.clock.ahead = timedelta(hours=6)
    await ee.submit("request.json")
    await ee.engine.link_audit.settle()
    ee.clock.ahead = timedelta(0)
    world.clock.advance(600)
    await ee.submit("request.json")
    assert (await verified(ee)).intact
    await ee.engine.link_audit.settle()
    world.clock.advance(600)
    await ee.submit("request.json")
    verdict = await verified(ee)
    assert verdict.intact
    assert verdict.waiting

    world.clock.advance(16 * 60)
    assert [found.kind for found in (await verified(ee)).findings][:1] == ["outside"]


async def test_a_checkpoint_that_is_not_ours_proves_nothing(world: World) -> None:
    """A damaged own checkpoint, and a witness that another country signed, are named; the trail is not blamed for it."""
    ee = world["EE"]
    await worked(world)
    foreign = await world["FI"].engine.link_audit.settle()
    verdict = await verified(ee, WitnessStatement(raw=foreign.raw, held_by=FI), WitnessStatement(raw=b"{}", held_by=FI))
    assert [(found.kind, found.held_by) for found in verdict.findings] == [("not-signed", FI)] * 2
    assert verdict.proven > 0


async def test_a_trail_that_was_beheaded_at_a_signed_place_is_found(world: World) -> None:
    """A signed head says what the trail was there, and not that anybody might take away what is before it."""
    ee = world["EE"]
    await worked(world)
    last = await ee.store.read(lambda reader: reader.newest_checkpoint())
    assert last is not None
    world.clock.advance(3600)  # of each hour the last head is kept
    await ee.submit("request.json")
    await ee.engine.link_audit.settle()
    written(ee, f"DELETE FROM audit WHERE position <= {last.head.position}")
    verdict = await verified(ee)
    assert [(found.kind, found.first, found.last) for found in verdict.findings[:1]] == [
        ("removed", 1, last.head.position)
    ]


async def test_what_a_restore_lost_is_told_apart_from_what_was_rewritten(world: World) -> None:
    """Heads from before the restore behind its place are missing entries; an earlier place, or a later head, is a fault."""
    ee = world["EE"]
    await worked(world)
    here = ee.clock.now()
    behind = (await ee.store.read(lambda reader: reader.audit_head())).position
    lost = Head(position=behind + 5, chain=GENESIS.chain)
    signer = ee.engine.link_audit._vault.signer(ee.trust.current(), here)

    def stated(head: Head, minutes: int) -> WitnessStatement:
        at = here + timedelta(minutes=minutes)
        checkpoint = Checkpoint(country=EE, head=head, at=at, trust_version=1)
        return WitnessStatement(raw=sign_checkpoint(checkpoint, signer).raw, held_by=FI)

    restored = here + timedelta(minutes=10)
    note = AuditRow(
        at=restored,
        actor="cli:x",
        action=AuditAction.RESTORED,
        subject="backup",
        detail=f"made behind position-{behind}",
    )
    await ee.store.run(lambda tx: tx.audit(note))
    forged = replace(lost, position=behind)
    verdict = await verified(ee, stated(lost, 5), stated(forged, 5), stated(lost, 15))
    assert [(one.first, one.last, one.restored, one.held_by) for one in verdict.restored] == [
        (behind + 1, behind + 5, restored, FI)
    ]
    assert [(found.kind, found.last) for found in verdict.findings] == [("rewritten", behind), ("cut-off", behind + 5)]


async def _cut(country: Country, position: int) -> None:
    """Take entries away behind a signed statement of it, as PROTOCOL 14 lets a node do."""
    now, trust = country.clock.now(), country.trust.current()
    chain = await country.store.run(lambda tx: tx.audit_link(position))
    assert chain is not None
    said = Checkpoint(
        country=country.us, head=Head(position=position, chain=chain), at=now, trust_version=trust.version, cut=True
    )
    kept = sign_checkpoint(said, FileVault(country.us, country.keys).signer(trust, now))
    await country.store.run(lambda tx: tx.add_checkpoint(kept, instead_of=kept))
    written(country, f"DELETE FROM audit WHERE position <= {position}")


async def test_a_cut_trail_is_in_order_and_a_beheaded_one_is_not(world: World) -> None:
    """Only a signed cut explains that the first entries are missing: no program makes one yet, and the format has it."""
    ee = world["EE"]
    witnesses = await worked(world)
    await ee.engine.link_audit.settle()
    await _cut(ee, 2)
    verdict = await verified(ee, *witnesses)
    assert (verdict.intact, verdict.start.position) == (True, 2)
    written(ee, "DELETE FROM audit WHERE position = 3")
    assert [found.kind for found in (await verified(ee)).findings][:1] == ["removed"]
    written(ee, "DELETE FROM audit WHERE position > 3")
    assert [(found.kind, found.first) for found in (await verified(ee)).findings][:1] == [("cut-off", 3)]
