# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where the Updater keeps what it believes while it works; between two looks the database keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from broker.core import canonical
from broker.core.errors import TrustListInvalid
from broker.core.ids import Digest
from broker.plain_files import files_below
from broker.trust import layout
from broker.trust.catalogue_documents import PROCEDURES, read_bundle_files, tables_of

__all__ = ["LookingFolder", "earlier_tables"]


class LookingFolder:
    """One temporary folder for one look."""

    def __init__(self, folder: Path, memory: Mapping[str, bytes]) -> None:
        """Args:
        folder: an empty one.
        memory: of the last look.
        """
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self.newer_catalogue = folder / "newer" / layout.CATALOGUE  # signed, and perhaps none that this program reads
        self._catalogue = folder / layout.CATALOGUE_FILE
        for part in (self.metadata / "root_history", self.targets, folder / PROCEDURES, self.newer_catalogue.parent):
            part.mkdir(parents=True)
        for name, raw in memory.items():
            (folder / name).write_bytes(raw)

    def take_catalogue(self, before: Digest | None) -> None:
        """Put the newer catalogue in the place of the one before.

        The procedure tables of that one are kept: open procedures are governed by them for life.

        Args:
            before: of the catalogue in force; what lies in its place may be damaged.
        """
        if before is not None and self._catalogue.exists():
            for name, raw in earlier_tables(self._catalogue.read_bytes(), before).items():
                (self.metadata.parent / name).write_bytes(raw)
        self.newer_catalogue.replace(self._catalogue)

    def memory(self) -> dict[str, bytes]:
        """Return the files by their names; the link to the newest root is made anew each time.

        Raises:
            OSError: they cannot be read.
        """
        root = self.metadata.parent
        files = [file for file in files_below(root) if file.name.endswith(".json") and not file.is_symlink()]
        return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def earlier_tables(catalogue: bytes, digest: Digest) -> dict[str, bytes]:
    """Return the procedure tables of a catalogue as they are kept; none where its bytes are damaged."""
    if canonical.digest(catalogue) != digest:
        return {}
    try:
        return tables_of(read_bundle_files(catalogue))
    except TrustListInvalid:  # another version of this program kept it
        return {}
