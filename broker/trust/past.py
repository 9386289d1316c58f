# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which keys were ours when something was signed: trust lists are kept for good, and each checkpoint names one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from broker.core.ids import CountryCode
from broker.core.trust import Member
from broker.ports import Reader
from broker.security.checkpoints import peek_checkpoint
from broker.trust.list_documents import read_list, trust_list_of

__all__ = ["member_then"]


def member_then(us: CountryCode) -> Callable[[Reader, bytes], Member | None]:
    """Return what finds our entry in the trust list that a checkpoint of the audit trail names, as it was in force then.

    What it returns raises UntrustedError for what is no checkpoint, and TrustListInvalid for a list that is damaged.
    """

    @cache
    def entry(raw: bytes) -> Member | None:
        return trust_list_of(read_list(raw)).members.get(us)

    def find(reader: Reader, raw: bytes) -> Member | None:
        stated = peek_checkpoint(raw)
        row = reader.trust_list_at(stated.trust_version, stated.at)
        return None if row is None else entry(row.raw)

    return find
