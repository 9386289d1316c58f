# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The use cases over a node's own store, as one value: what the API, the command line and the adapters' loops call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from broker.catalogue import Catalogue
from broker.core.ids import CountryCode
from broker.core.surge import SurgeMode
from broker.derived.surges import with_surge
from broker.derived.timetable import Timetable
from broker.flows.approve import Approve
from broker.flows.attend import Attend
from broker.flows.consult import Consult
from broker.flows.disclosures import Disclosures
from broker.flows.inspect import Inspect
from broker.flows.open import Open
from broker.flows.read_attachment import ReadAttachment
from broker.flows.resend import Resend
from broker.flows.retain.erase import Erase
from broker.flows.retain.keep import Keep
from broker.flows.retain.pass_on import PassOn
from broker.flows.retain.standing import ReviewDates
from broker.flows.search import Search
from broker.flows.submit import Submit
from broker.flows.upload import Upload
from broker.ledger import Ledger
from broker.ports import Blobs, Clock, Compute, Ids, Reader, Store, TrustSource

__all__ = ["Desk"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The use cases that need no key and no transport."""

    us: CountryCode
    store: Store
    catalogue: Catalogue
    trust: TrustSource
    trust_grace: timedelta
    clock: Clock
    ids: Ids
    ledger: Ledger
    submit: Submit
    open_message: Open
    inspect: Inspect
    approve: Approve
    attend: Attend
    resend: Resend
    consult: Consult
    search: Search
    disclosures: Disclosures
    timetable: Timetable
    blobs: Blobs
    compute: Compute
    upload: Upload
    read_attachment: ReadAttachment
    erase: Erase
    pass_on: PassOn
    keep: Keep
    review_dates: ReviewDates

    async def looked(self, look: Callable[[Reader], T]) -> tuple[T, tuple[SurgeMode, ...]]:
        """Return what somebody looks at, and where surge mode is on: no list is shown without it (R-39).

        Raises:
            StoreUnavailable: it cannot be read.
        """
        return await with_surge(self.store, self.us, self.clock, look)
