# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm audit` that makes files: an export for a supervisory authority, and what is known of others' trails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.cli import output
from broker.cli.acting import operator, with_office
from broker.cli.audit_options import chosen, period_of
from broker.cli.input import new_file, one_of, parsed
from broker.core import canonical
from broker.core.audit import GENESIS, AuditReason, Head
from broker.core.errors import BadRequest, NotFound
from broker.core.ids import CountryCode
from broker.flows.verify_audit import WitnessStatement
from broker.rows import AuditFilter
from broker.system import ThreadCompute
from broker.trail_file import MAX_LINE
from broker.trust.past import member_then

if TYPE_CHECKING:
    from broker.office import Office

__all__ = ["export", "read_witness", "witness_export"]

WITNESS_FORMAT = "trm-audit-witness/1"
_WITNESSES = 200  # in one read


def export(
    home: Path, *, reason: str, out: Path, since: str | None, until: str | None, cases: Sequence[str], as_json: bool
) -> None:
    """Write a part of the trail as one signed file.

    Raises:
        BadRequest: an option is not of its form, or something is at the file's place.
        NodeError: vault or store cannot be used; no file is left.
    """
    why = one_of(AuditReason, reason, "--reason")
    period = period_of(since, until)
    from broker.flows.export_audit import ExportAudit
    from broker.flows.link_audit import LinkAudit
    from broker.vault import open_vault

    async def work(office: Office) -> Any:
        vault = open_vault(office.settings)  # to sign with; no content is opened
        wanted = AuditFilter(since=period[0], until=period[1], procedures=await chosen(office, cases))
        compute = ThreadCompute(1)
        linking = LinkAudit(
            us=office.us, store=office.store, trust=office.trust, vault=vault, compute=compute,
            clock=office.clock, ids=office.ids, ledger=office.ledger,
        )  # fmt: skip
        give = ExportAudit(
            us=office.us, store=office.store, trust=office.trust, vault=vault, clock=office.clock,
            settle=linking.settle, member_then=member_then(office.us),
        )  # fmt: skip
        try:
            with new_file(out) as stream:
                return await give(wanted, operator(), reason=why, write=stream.write)
        finally:
            compute.close()

    given = with_office(home, work, without_vault=True)

    def people() -> None:
        output.console().print(
            f"Entries {given.first} to {given.last} are in {out}, signed.\n"
            f"Next: trm audit verify --file {output.word(out)}"
        )

    output.answer({"file": str(out), "first": given.first, "last": given.last}, as_json=as_json, people=people)


def witness_export(country: str, home: Path, *, out: Path, as_json: bool) -> None:
    """Write what this node holds of a country's trail.

    Raises:
        BadRequest: not a country, or something is at the file's place.
        NotFound: nothing of it is held.
        NodeError: the store cannot be read.
    """
    whose = parsed(CountryCode, country, "COUNTRY")

    async def work(office: Office) -> int:
        behind, count = Head(position=-1, chain=GENESIS.chain), 0
        with new_file(out) as stream:
            about = {"country": whose, "format": WITNESS_FORMAT, "held_by": office.us}
            stream.write(canonical.dump(about) + b"\n")
            while batch := await _witnesses(office, whose, behind):
                for kept in batch:
                    stream.write(kept.raw + b"\n")
                count, behind = count + len(batch), batch[-1].head
            if not count:
                raise NotFound
        return count

    count = with_office(home, work, without_vault=True)

    def people() -> None:
        output.console().print(
            f"{count} signed heads of {whose}'s audit trail are in {out}.\n"
            f"Next, at {whose}: trm audit verify --witness {output.word(out.name)}"
        )

    output.answer({"file": str(out), "country": whose, "checkpoints": count}, as_json=as_json, people=people)


def read_witness(path: Path) -> Iterator[WitnessStatement]:
    """Yield what another country's file says that it holds of our trail; nothing of it is believed.

    Raises:
        BadRequest: it cannot be read, or is not such a file.
    """
    try:
        with path.open("rb") as stream:
            lines = iter(lambda: stream.readline(MAX_LINE), b"")
            about = json.loads(next(lines, b"null"))
            if about["format"] != WITNESS_FORMAT:
                raise ValueError("another format")
            holder = CountryCode(about["held_by"])
            for line in lines:
                yield WitnessStatement(raw=line.rstrip(b"\n"), held_by=holder)
    except OSError as error:
        raise BadRequest(f"The file cannot be read ({type(error).__name__}).", where=str(path)) from None
    except (ValueError, KeyError, TypeError):
        raise BadRequest("This is not what 'trm audit witness export' writes.", where=str(path)) from None


async def _witnesses(office: Office, whose: CountryCode, behind: Head) -> Any:
    return await office.store.read(lambda reader: reader.witnesses(whose, behind, _WITNESSES))
