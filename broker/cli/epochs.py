# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm keys rotate --which wrapping`: the next epoch of the data at rest, beside a running node or without one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from broker.cli import output
from broker.cli.acting import operator
from broker.core.roles import AuditRole
from broker.flows.next_epoch import NextEpoch, Rotation
from broker.settings import Settings
from broker.storage import AtRest, open_store
from broker.system import SystemClock, SystemIds, ThreadCompute
from broker.vault import FileVault, open_vault

__all__ = ["next_epoch"]


def next_epoch(home: Path, *, as_json: bool) -> None:
    """Begin the next epoch, end the earlier ones that no key needs, and print its number.

    Raises:
        NodeError: it could not be finished; the node, or the next call, goes on with it.
    """
    settings = Settings.load(home)
    rotation = asyncio.run(_rotate(settings, open_vault(settings)))
    number = rotation.number

    def people() -> None:
        if rotation.stuck:
            output.console().print(
                f"Epoch {number} has begun, but {rotation.stuck} keys of cases do not open: the wrapping keys that copies of "
                f"them need are kept, and no erasure since is final. Which cases: trm attention list."
            )
            return
        output.console().print(
            f"Epoch {number} has begun: the keys of all cases are wrapped under its key, the earlier wrapping keys are "
            f"destroyed.\nBack up the vault and the key table together: no earlier copy of either opens anything more."
        )

    output.answer({"epoch": number, "stuck": rotation.stuck}, as_json=as_json, people=people)


async def _rotate(settings: Settings, vault: FileVault) -> Rotation:
    compute = ThreadCompute(1)
    store = open_store(settings.store_url, us=settings.country, cipher=AtRest(vault.ring))
    try:
        flow = NextEpoch(store=store, vault=vault, compute=compute, clock=SystemClock(), ids=SystemIds())
        return await flow(operator().actor, AuditRole.OPERATOR)
    finally:
        await store.close()
        compute.close()
