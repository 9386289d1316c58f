# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The keys of cases, as a transaction holds them (`security.at_rest`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from broker.security.at_rest import Rewrapped, Scope, WrappedKey

__all__ = ["CaseKeys"]


class CaseKeys(Protocol):
    """Destroys and rewraps; encrypting and opening under these keys is the store's own work."""

    def hold_case(self, scope: Scope) -> None:
        """Let nothing be stored under that key by another worker until this transaction ends; what was, is seen now."""
        ...

    def destroy_case(self, scope: Scope, at: datetime) -> bool:
        """Destroy the key of what a scope covers, and never make another for it. False: it was destroyed before.

        From the commit on nothing shows, leases or adds to it, in any worker. Copies of the wrapped key outside of the
        table die with the epoch: the next one is owed from now on (`flows/next_epoch`).
        """
        ...

    def begin_epoch(self, number: int) -> bool:
        """Wrap every new key under that epoch from now on; its key must be in the vault of every worker. False: it is so."""
        ...

    def rewrap_keys(self, number: int, *, limit: int, after: WrappedKey | None = None) -> Rewrapped:
        """Move some keys of earlier epochs to that one, behind a key if one is named; others' in use are passed by."""
        ...

    def keys_before(self, number: int) -> Mapping[int, int]:
        """Return for each earlier epoch how many keys are still wrapped under it, if any: its own key is needed for them."""
        ...

    def renew_node_key(self) -> bool:
        """Put another key in the place of the one of messages between nodes, if that does not open. False: all is well.

        What was stored under it does not open then either; it holds nothing of a case, and other nodes ask again.
        """
        ...
