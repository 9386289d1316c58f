# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the flows need from the outside world, as Protocols; implementations stand to the right in the layers.

- A `Transaction` is used inside one synchronous function without I/O, cryptography or await (`Store.run`); everything it
  did is committed together or not at all. The function may run again after a rollback: it has no other effects. What a
  store does at its own door for data at rest, microseconds of AES under a lock it needs anyway, is its own matter.
- An implementation turns foreign exceptions into `core.errors` at its door, and never lets their text out: database
  drivers and validators put values into it.
- All datetimes are aware UTC.
"""

from __future__ import annotations

from broker.ports.healing import HealingReader, HealingWriter
from broker.ports.outside import Clock, Compute, Ids, Notifier, Tally, Transport, TrustLook, TrustSource, Vault
from broker.ports.retention import RetentionReader, RetentionWriter
from broker.ports.store import Blobs, Reader, Store
from broker.ports.transaction import Transaction

__all__ = [
    "Blobs",
    "Clock",
    "Compute",
    "HealingReader",
    "HealingWriter",
    "Ids",
    "Notifier",
    "Reader",
    "RetentionReader",
    "RetentionWriter",
    "Store",
    "Tally",
    "Transaction",
    "Transport",
    "TrustLook",
    "TrustSource",
    "Vault",
]
