# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""From a source to a verified trust list: TUF's Updater verifies every signature, version, hash and expiry.

Which lists are signed is taken whole or not at all. A document in them that cannot be taken leaves its previous one in
force: nobody's mistake silences a country, and nobody's silence forges one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tuf.ngclient import Updater, UpdaterConfig

from broker.core.errors import TrustListInvalid
from broker.core.trust import TrustList, TrustRule
from broker.trust import layout
from broker.trust.fetching import Source
from broker.trust.list_documents import ListDocument, trust_list_of
from broker.trust.looking_folder import LookingFolder
from broker.trust.policy import read_lists
from broker.trust.reading import Reading, Trouble
from broker.trust.tuf_faults import translated

__all__ = ["Fetched", "Trouble", "TrustClient"]


_LIMITS = UpdaterConfig(
    root_max_length=layout.MAX_METADATA,
    timestamp_max_length=64 * 1024,
    snapshot_max_length=layout.MAX_METADATA,
    targets_max_length=layout.MAX_METADATA,
    max_delegations=4,  # the federation's list and the one member's that a path belongs to
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What one look at a source gave."""

    document: ListDocument
    trust: TrustList
    troubles: tuple[Trouble, ...]
    memory: Mapping[str, bytes]  # what the next look must be given: the lists that were believed last, by file name

    @property
    def catalogue(self) -> bytes | None:
        """The signed bundle of message schemas."""
        return self.memory.get(layout.CATALOGUE_FILE)


class TrustClient:
    """Reads a federation's trust list from one source, beginning from one pinned root."""

    def __init__(self, source: Source, root: bytes) -> None:
        """Args:
        source: where the files come from; it is not believed.
        root: the root that was given to this node by hand.
        """
        self._source = source
        self._root = root

    def fetch(self, held: ListDocument | None = None, memory: Mapping[str, bytes] | None = None) -> Fetched:
        """Return the newest list that the source gives; blocks on network and disk.

        Args:
            held: the list in force; None where there is none yet.
            memory: of the look that gave it.

        Raises:
            TrustListInvalid: the federation's part breaks a rule; what is held stays in force.
        """
        with translated(), TemporaryDirectory(prefix="trm-trust-") as name:
            folder = LookingFolder(Path(name), memory or {})
            self._source.begin()
            updater = self._updater(folder)
            updater.refresh()
            reading = Reading(updater, folder, read_lists(folder.metadata), held)
            document = reading.document()
            _never_back(held, document)
            return Fetched(
                document=document,
                trust=trust_list_of(document),
                troubles=tuple(reading.troubles),
                memory=folder.memory(),
            )

    def _updater(self, folder: LookingFolder) -> Updater:
        return Updater(
            metadata_dir=str(folder.metadata),
            metadata_base_url=f"{Source.base}/metadata/",
            target_dir=str(folder.targets),
            target_base_url=f"{Source.base}/targets/",
            fetcher=self._source,
            config=_LIMITS,
            bootstrap=self._root,
        )


def _never_back(held: ListDocument | None, fresh: ListDocument) -> None:
    if held is not None and fresh.standing < held.standing:
        raise TrustListInvalid(
            "The list is older than the one in force.", where="snapshot.json", rule=TrustRule.GOES_BACK
        )
