# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How the use cases are wired to the ports: the same for a running node and for a simulated one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

from broker.adapter_api import Adapter
from broker.calendars import ProfiledCalendars
from broker.catalogue import Catalogue
from broker.core.attachments import Attachment
from broker.core.audit import Who
from broker.core.delivery import LadderLimits
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import InboxEntry
from broker.core.retention import RetentionRules, parse_rules
from broker.core.roles import AuditRole
from broker.core.trust import GRACE
from broker.derived.restraint import Restraint
from broker.derived.timetable import Timetable
from broker.desk import Desk
from broker.flows.approve import Approve
from broker.flows.attend import Attend
from broker.flows.carry import Carry
from broker.flows.catch_up import CatchUp
from broker.flows.complete import Complete
from broker.flows.consult import Consult
from broker.flows.deliver import Deliver
from broker.flows.disclosures import Disclosures
from broker.flows.dispatch import Dispatch
from broker.flows.heal import Heal
from broker.flows.inspect import Inspect
from broker.flows.link_audit import LinkAudit
from broker.flows.next_epoch import NextEpoch
from broker.flows.open import Open
from broker.flows.read_attachment import ReadAttachment
from broker.flows.receive import Receive
from broker.flows.refresh_trust import RefreshTrust
from broker.flows.remind import Remind
from broker.flows.resend import Resend
from broker.flows.retain.clear import Clear
from broker.flows.retain.erase import Erase
from broker.flows.retain.keep import Keep
from broker.flows.retain.pass_on import PassOn
from broker.flows.retain.review import Review
from broker.flows.retain.standing import ReviewDates
from broker.flows.search import Search
from broker.flows.submit import Submit
from broker.flows.take_chunk import TakeChunk
from broker.flows.tidy import Tidy
from broker.flows.upload import Upload
from broker.flows.urge import Urge
from broker.flows.watch import Watch
from broker.ledger import Ledger
from broker.ports import Blobs, Clock, Compute, Ids, Notifier, Store, Tally, Transport, TrustSource, Vault
from broker.reception import Reception
from broker.schema_files import RETENTION_RULES, read_schema_file
from broker.security.at_rest import EpochVault
from broker.submission.sealed_files import SealedFiles

__all__ = ["Engine", "Keys", "Rings", "wire_desk", "wire_engine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What sealing and opening needs."""

    vault: Vault
    epochs: EpochVault
    compute: Compute


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Who is woken when something happened; polling finds it all the same."""

    work: Callable[[], None]  # something waits for the dispatcher
    offer: Callable[[], None]  # something waits for an adapter
    trust: Callable[[], None]  # something is not yet believable
    parked: Callable[[], None]  # what is parked may be believable now
    whole: Callable[[], None]  # an attachment may be complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The use cases that a running node repeats."""

    dispatch: Dispatch
    receive: Receive
    deliver: Deliver
    refresh_trust: RefreshTrust
    watch: Watch
    remind: Remind
    urge: Urge
    next_epoch: NextEpoch
    catch_up: CatchUp
    link_audit: LinkAudit
    heal: Heal
    carry: Carry
    take_chunk: TakeChunk
    complete: Complete
    tidy: Tidy
    review: Review
    clear: Clear


def wire_desk(
    us: CountryCode,
    *,
    store: Store,
    blobs: Blobs,
    compute: Compute,
    catalogue: Catalogue,
    trust: TrustSource,
    clock: Clock,
    ids: Ids,
    wake: Callable[[], None],
    soon: timedelta = timedelta(hours=72),
    trust_grace: timedelta = GRACE,
    retention: RetentionRules | None = None,
) -> Desk:
    """Return the desk over a store."""
    ledger = Ledger(us=us, catalogue=catalogue)
    calendars = ProfiledCalendars(trust=trust.current, today=lambda: clock.now().date())
    timetable = Timetable(us=us, calendar_of=calendars, soon=soon)
    submit = Submit(
        us=us,
        store=store,
        trust=trust,
        catalogue=catalogue,
        clock=clock,
        ids=ids,
        wake=wake,
        timetable=timetable,
        sealed_files=SealedFiles(blobs=blobs, compute=compute, trust=trust),
        trust_grace=trust_grace,
    )
    dates = ReviewDates(us=us, rules=retention or parse_rules(read_schema_file(RETENTION_RULES)), calendar_of=calendars)
    pass_on = PassOn(us=us, store=store, trust=trust, clock=clock, submit=submit)
    restraint = Restraint(store=store, ledger=ledger)
    return Desk(
        us=us,
        store=store,
        catalogue=catalogue,
        trust=trust,
        trust_grace=trust_grace,
        clock=clock,
        ids=ids,
        ledger=ledger,
        submit=submit,
        approve=Approve(us=us, store=store, clock=clock, release=submit.release),
        open_message=Open(us=us, store=store, ledger=ledger, clock=clock, wake=wake),
        inspect=Inspect(us=us, store=store, ledger=ledger, timetable=timetable, clock=clock),
        attend=Attend(store=store, clock=clock),
        resend=Resend(store=store, clock=clock, wake=wake),
        consult=Consult(store=store, clock=clock, restraint=restraint),
        search=Search(us=us, store=store, catalogue=catalogue, clock=clock),
        disclosures=Disclosures(store=store, clock=clock),
        timetable=timetable,
        blobs=blobs,
        compute=compute,
        upload=Upload(store=store, blobs=blobs, compute=compute, clock=clock, ids=ids),
        read_attachment=ReadAttachment(
            us=us, store=store, blobs=blobs, compute=compute, clock=clock, restraint=restraint
        ),
        erase=Erase(us=us, store=store, ledger=ledger, clock=clock, ids=ids, pass_on=pass_on),
        pass_on=pass_on,
        keep=Keep(store=store, dates=dates, clock=clock),
        review_dates=dates,
    )


def wire_engine(
    desk: Desk,
    *,
    transport: Transport,
    keys: Keys,
    adapter_for: Callable[[AuthorityId], Adapter | None],
    notifier: Notifier,
    limits: LadderLimits,
    envelope_life: timedelta,
    rings: Rings,
    tally: Tally,
) -> Engine:
    """Return the engine over the same store."""
    us, store, trust, clock, ids, ledger = desk.us, desk.store, desk.trust, desk.clock, desk.ids, desk.ledger

    def trust_changed() -> None:
        rings.work()
        rings.parked()

    refresh_trust = RefreshTrust(store=store, trust=trust, ledger=ledger, clock=clock, wake=trust_changed)

    def unknown() -> None:
        refresh_trust.ask()
        rings.trust()

    reception = Reception(
        us=us,
        catalogue=desk.catalogue,
        trust=trust,
        ledger=ledger,
        clock=clock,
        ids=ids,
        served=lambda office: adapter_for(office) is not None,
    )
    return Engine(
        dispatch=_dispatch(desk, keys, transport, tally, envelope_life=envelope_life),
        receive=_receive(desk, keys, reception, notifier, rings, tally, unknown=unknown),
        deliver=Deliver(
            store=store,
            adapter_for=adapter_for,
            read=_reading(desk),
            ledger=ledger,
            notifier=notifier,
            clock=clock,
            ids=ids,
            wake=rings.work,
        ),
        refresh_trust=refresh_trust,
        watch=Watch(us=us, store=store, ledger=ledger, clock=clock, limits=limits, wake=rings.work),
        remind=Remind(store=store, ledger=ledger, timetable=desk.timetable, clock=clock),
        next_epoch=NextEpoch(store=store, vault=keys.epochs, compute=keys.compute, clock=clock, ids=ids),
        catch_up=CatchUp(us=us, store=store, ledger=ledger, catalogue=desk.catalogue, clock=clock),
        urge=Urge(store=store, ledger=ledger, clock=clock, limits=limits),
        link_audit=_link_audit(desk, keys),
        heal=Heal(us=us, store=store, trust=trust, ledger=ledger, clock=clock, ids=ids, wake=rings.work),
        carry=_carry(desk, transport),
        take_chunk=TakeChunk(
            us=us, store=store, blobs=desk.blobs, compute=desk.compute, clock=clock, ids=ids, whole=rings.whole
        ),
        complete=_complete(desk, reception, rings),
        tidy=Tidy(store=store, blobs=desk.blobs, clock=clock),
        review=Review(us=us, store=store, ledger=ledger, dates=desk.review_dates, clock=clock, ids=ids),
        clear=Clear(store=store, blobs=desk.blobs, adapter_for=adapter_for, ledger=ledger, clock=clock, ids=ids),
    )


def _dispatch(desk: Desk, keys: Keys, transport: Transport, tally: Tally, *, envelope_life: timedelta) -> Dispatch:
    return Dispatch(
        us=desk.us,
        store=desk.store,
        transport=transport,
        trust=desk.trust,
        vault=keys.vault,
        compute=keys.compute,
        clock=desk.clock,
        ids=desk.ids,
        ledger=desk.ledger,
        envelope_life=envelope_life,
        trust_grace=desk.trust_grace,
        tally=tally,
    )


def _receive(
    desk: Desk,
    keys: Keys,
    reception: Reception,
    notifier: Notifier,
    rings: Rings,
    tally: Tally,
    *,
    unknown: Callable[[], None],
) -> Receive:
    return Receive(
        us=desk.us,
        store=desk.store,
        trust=desk.trust,
        vault=keys.vault,
        compute=keys.compute,
        clock=desk.clock,
        reception=reception,
        notifier=notifier,
        wake=rings.work,
        offer=rings.offer,
        unknown=unknown,
        tally=tally,
    )


def _link_audit(desk: Desk, keys: Keys) -> LinkAudit:
    return LinkAudit(
        us=desk.us,
        store=desk.store,
        trust=desk.trust,
        vault=keys.vault,
        compute=keys.compute,
        clock=desk.clock,
        ids=desk.ids,
        ledger=desk.ledger,
    )


def _carry(desk: Desk, transport: Transport) -> Carry:
    return Carry(
        us=desk.us,
        store=desk.store,
        blobs=desk.blobs,
        transport=transport,
        trust=desk.trust,
        compute=desk.compute,
        clock=desk.clock,
        ids=desk.ids,
        ledger=desk.ledger,
        trust_grace=desk.trust_grace,
    )


def _complete(desk: Desk, reception: Reception, rings: Rings) -> Complete:
    return Complete(
        us=desk.us,
        store=desk.store,
        blobs=desk.blobs,
        compute=desk.compute,
        clock=desk.clock,
        ids=desk.ids,
        ledger=desk.ledger,
        reception=reception,
        trust=desk.trust,
        wake=rings.work,
        offer=rings.offer,
    )


def _reading(desk: Desk) -> Callable[[InboxEntry, Attachment], AsyncIterator[bytes]]:
    """Return how an adapter reads an attachment: as its office, in the audit trail."""

    async def read(entry: InboxEntry, attachment: Attachment) -> AsyncIterator[bytes]:
        reading = await desk.read_attachment(
            entry.id,
            attachment.digest,
            Who(actor="adapter", role=AuditRole.ADAPTER, authority=entry.header.recipient.authority),
            direction="in",
            peer=entry.sender,
        )
        async for part in reading.parts:
            yield part

    return read
