# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a catalogue holds, to be looked up: message types with their schemas, code lists, procedure tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from broker.catalogue.bundle import DEFINITIONS, HEADER, SUBMISSION, Bundle, CodeList, self_contained
from broker.catalogue.families import SHARED
from broker.catalogue.labels import english_labels
from broker.core.errors import CatalogueInvalid, UnknownType, VersionNotSupported
from broker.core.ids import Digest, MessageType, SchemaVersion
from broker.core.procedures import ProcedureTable

__all__ = ["Contents"]


class Contents:
    """The message types, code lists and procedure tables of one bundle."""

    def __init__(self, bundle: Bundle, earlier: Mapping[Digest, ProcedureTable] = MappingProxyType({})) -> None:
        """Args:
        bundle: what messages are held against, and the tables that new procedures are opened by.
        earlier: tables that are found by digest alone: a procedure is governed for life by the one it was opened by.
        """
        self._bundle = bundle
        self._earlier = earlier
        self._english: Mapping[str, str] | None = None  # made when first asked for
        versions: dict[MessageType, list[SchemaVersion]] = {}
        for kind, version in bundle.messages:
            versions.setdefault(kind, []).append(version)
        self._versions = {kind: tuple(sorted(own, key=lambda version: version.key)) for kind, own in versions.items()}
        self._tables = _by_name(bundle.tables.values())
        self._known_tables = _by_name((*bundle.tables.values(), *earlier.values()))

    def types(self) -> tuple[MessageType, ...]:
        """Return every message type, sorted."""
        return tuple(sorted(self._versions))

    def shared_acts(self) -> frozenset[str]:
        """Return the names of the acts that procedures share."""
        return frozenset(path.split("/")[2] for path in self._bundle.documents if path.startswith(SHARED))

    def versions(self, kind: MessageType) -> tuple[SchemaVersion, ...]:
        """Return the type's versions, oldest first; empty: the type is unknown."""
        return self._versions.get(kind, ())

    def newest(self, kind: MessageType) -> SchemaVersion:
        """Return the type's newest version.

        Raises:
            UnknownType: there is no such type.
        """
        versions = self.versions(kind)
        if not versions:
            raise UnknownType(where="/type")
        return versions[-1]

    def bases(self, kind: MessageType) -> tuple[str, ...]:
        """Return the legal bases that the newest version of the type may rest on.

        Raises:
            UnknownType: there is no such type.
        """
        path = self._bundle.messages[kind, self.newest(kind)]
        return tuple(self._bundle.documents[path].get("x-trm-bases", {}))

    def codes(self, name: str) -> CodeList:
        """Return the code list of that name.

        Raises:
            CatalogueInvalid: there is no such list.
        """
        if name not in self._bundle.codes:
            raise CatalogueInvalid("There is no code list of that name.", where=f"codes/{name}.json")
        return self._bundle.codes[name]

    def code_lists(self) -> tuple[str, ...]:
        """Return the names of the code lists, sorted."""
        return tuple(sorted(self._bundle.codes))

    def documents(self) -> Iterable[Mapping[str, Any]]:
        """Return every schema, part and code list once, as it stands in its file."""
        return self._bundle.documents.values()

    def english(self) -> Mapping[str, str]:
        """Return every label key with what the schemas, lists and tables say in English."""
        if self._english is None:
            self._english = english_labels(self._bundle)
        return self._english

    def pages(self, law: Mapping[str, Mapping[str, Any]]) -> Mapping[str, str]:
        """Return the reference for people in Markdown, page by page; see `broker.catalogue.reference`."""
        from broker.catalogue.reference import pages

        return pages(self._bundle, law)

    def schema(self, kind: MessageType, version: SchemaVersion, *, prefix: str = DEFINITIONS) -> dict[str, Any]:
        """Return the body's schema, self-contained: what it refers to stands in ``$defs`` and is named by the prefix.

        Raises:
            UnknownType, VersionNotSupported: there is no such schema.
        """
        self._known(kind, version)
        return self_contained(self._bundle, self._bundle.messages[kind, version], prefix=prefix)

    def header_schema(self, *, prefix: str = DEFINITIONS) -> dict[str, Any]:
        """Return the message header's schema, self-contained."""
        return self_contained(self._bundle, HEADER, prefix=prefix)

    def submission_schema(self, *, prefix: str = DEFINITIONS) -> dict[str, Any]:
        """Return the schema of what a caller submits, self-contained."""
        return self_contained(self._bundle, SUBMISSION, prefix=prefix)

    def table(self, name: str, version: SchemaVersion | None = None) -> ProcedureTable:
        """Return the procedure's table of that version, or its newest.

        Raises:
            UnknownType: there is no such procedure or version.
        """
        for table in self._tables.get(name, ()):
            if version is None or table.version == version:
                return table
        raise UnknownType("This node does not know a procedure of that name and version.", where="/type")

    def tables(self) -> tuple[ProcedureTable, ...]:
        """Return the newest table of each procedure, sorted by name."""
        return tuple(self._tables[name][0] for name in sorted(self._tables))

    def known_tables(self, name: str) -> tuple[ProcedureTable, ...]:
        """Return every known table of a procedure, newest version first; of one version the catalogue's own stands first."""
        return self._known_tables.get(name, ())

    def every_table(self) -> tuple[ProcedureTable, ...]:
        """Return every table that a procedure may be governed by, earlier ones too."""
        return tuple(table for known in self._known_tables.values() for table in known)

    def speaks(self) -> tuple[Mapping[MessageType, tuple[SchemaVersion, ...]], Mapping[str, tuple[SchemaVersion, ...]]]:
        """Return the versions of message types and of procedures that a node of this catalogue takes, as a member lists them."""
        messages = {kind: tuple(self.versions(kind)) for kind in self.types()}
        names = {table.procedure for table in self.tables()}
        versions = {name: {table.version for table in self.known_tables(name)} for name in names}
        return messages, {
            name: tuple(sorted(versions[name], key=lambda version: version.key)) for name in sorted(versions)
        }

    def table_by_digest(self, digest: Digest) -> ProcedureTable | None:
        """Return the table whose canonical bytes have that digest."""
        return self._bundle.tables.get(digest) or self._earlier.get(digest)

    def _known(self, kind: MessageType, version: SchemaVersion) -> None:
        if kind not in self._versions:
            raise UnknownType(where="/type")
        if version not in self._versions[kind]:
            raise VersionNotSupported(where="/version")


def _by_name(tables: Iterable[ProcedureTable]) -> Mapping[str, tuple[ProcedureTable, ...]]:
    """Return the tables of each procedure, newest version first; of one version the first one stands first."""
    found: dict[str, list[ProcedureTable]] = {}
    for table in sorted(tables, key=lambda table: table.version.key, reverse=True):
        found.setdefault(table.procedure, []).append(table)
    return {name: tuple(named) for name, named in found.items()}
