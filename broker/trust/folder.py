# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a trust repository: what is published, and beside it what waits for signatures.

``metadata/`` and ``targets/`` are what nodes read, laid out as TUF's consistent snapshots; ``staged/`` holds the next
version of a role with the signatures that it has so far. The folder can be carried from officer to officer.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata
from tuf.api.serialization.json import JSONSerializer

from broker.core.errors import CeremonyRefused, HomeInvalid
from broker.core.ids import CountryCode
from broker.durable import not_written, write_durably
from broker.plain_files import leads_out, read_plain
from broker.trust.layout import MAX_DOCUMENT, MAX_METADATA, ROOT, TARGETS, TIMESTAMP, owner_of

__all__ = ["Signed", "TrustFolder"]

Signed = Metadata[Any]


class TrustFolder:
    """Reads and writes the files; judges nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"
        self._staged = folder / "staged"

    @property
    def empty(self) -> bool:
        """Whether nothing was published or staged here yet."""
        return self.published(ROOT) is None and self.staged(ROOT) is None

    def published(self, role: str) -> Signed | None:
        """Return the newest published version of a role."""
        if role == TIMESTAMP:
            return self._load(self._metadata / "timestamp.json")
        newest = self.newest(role)
        return None if newest is None else self._load(newest)

    def newest(self, role: str) -> Path | None:
        """Return the file of the newest published version of a role; None where there is none."""
        versions = [
            int(number)
            for number, _, rest in (name.partition(".") for name in _names_in(self._metadata))
            if number.isdecimal() and rest == f"{role}.json"
        ]
        return self._metadata / f"{max(versions)}.{role}.json" if versions else None

    def published_root(self, version: int) -> Signed | None:
        """Return one version of the root."""
        return self._load(self.root_file(version))

    def root_file(self, version: int) -> Path:
        """Return where one version of the root stands."""
        return self._metadata / f"{version}.root.json"

    def staged(self, role: str) -> Signed | None:
        """Return the version of a role that waits for signatures."""
        return self._load(self._staged / f"{role}.json")

    def staged_roles(self) -> tuple[str, ...]:
        """Return the roles that wait, root and targets first."""
        names = {name.removesuffix(".json") for name in _names_in(self._staged) if name.endswith(".json")}
        first = [role for role in (ROOT, TARGETS) if role in names]
        return (*first, *sorted(name for name in names if CountryCode.pattern.fullmatch(name)))

    def document(self, path: str, sha256: str) -> bytes | None:
        """Return a document that a role names by path and hash, staged or published; None where it is not here.

        Raises:
            CeremonyRefused: the list has no document of that path.
        """
        for file in (self._waiting(path), self._target(path, sha256)):
            raw = self._read(file, MAX_DOCUMENT)
            if raw is not None and hashlib.sha256(raw).hexdigest() == sha256:
                return raw
        return None

    def stage(self, role: str, metadata: Signed) -> None:
        """Keep the next version of a role with the signatures that it has."""
        self._write(self._staged / f"{role}.json", _bytes(metadata))

    def stage_document(self, path: str, raw: bytes) -> None:
        """Keep a document that a staged role names."""
        self._write(self._waiting(path), raw)

    def unstage(self, role: str) -> None:
        """Forget the staged version of a role; documents that nothing names any more do no harm."""
        self._unlink(self._staged / f"{role}.json")

    def unstage_document(self, path: str) -> None:
        """Forget a staged document."""
        self._unlink(self._waiting(path))

    def publish(self, role: str, metadata: Signed) -> bytes:
        """Put a role's version where nodes read it; return its bytes."""
        raw = _bytes(metadata)
        name = "timestamp.json" if role == TIMESTAMP else f"{metadata.signed.version}.{role}.json"
        self._write(self._metadata / name, raw)
        return raw

    def publish_document(self, path: str, sha256: str, raw: bytes) -> None:
        """Put a document where nodes read it: under its hash, so that two versions stand side by side."""
        self._write(self._target(path, sha256), raw)

    def _unlink(self, file: Path) -> None:
        self._check_inside(file)
        with suppress(FileNotFoundError):
            file.unlink()

    def _waiting(self, path: str) -> Path:
        return self._staged / "targets" / _known(path)

    def _target(self, path: str, sha256: str) -> Path:
        below, _, name = _known(path).rpartition("/")
        return self._targets / below / f"{sha256}.{name}"

    def _load(self, file: Path) -> Signed | None:
        raw = self._read(file, MAX_METADATA)
        if raw is None:
            return None
        try:
            metadata: Signed = Metadata.from_bytes(raw)
        except RepositoryError:
            raise CeremonyRefused("A signed list in the folder is damaged.", where=str(file)) from None
        return metadata

    def _read(self, file: Path, most: int) -> bytes | None:
        self._check_inside(file)
        try:
            raw = read_plain(file, most)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HomeInvalid(f"The folder cannot be read ({type(error).__name__}).", where=str(file)) from None
        if len(raw) > most:
            raise CeremonyRefused("A file in the folder is too large.", where=str(file))
        return raw

    def _check_inside(self, file: Path) -> None:
        """Refuse a link that leads elsewhere: what is read and written on a stick's word would not be the stick's.

        Raises:
            CeremonyRefused: it does.
        """
        if leads_out(file, self.path):
            raise CeremonyRefused("A link leads out of the folder.", where=str(file))

    def _write(self, file: Path, raw: bytes) -> None:
        self._check_inside(file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_durably(file, raw, mode=0o644)
        except OSError as error:
            raise not_written(error, file, "The folder cannot be written") from None


def _names_in(folder: Path) -> list[str]:
    try:
        return [file.name for file in folder.iterdir()]  # not `glob`, to which a folder that cannot be read is empty
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HomeInvalid(f"The folder cannot be read ({type(error).__name__}).", where=str(folder)) from None


def _known(path: str) -> str:
    """Return the path if it is one of a document: a member's officers could sign one that leads out of the folder."""
    try:
        owner_of(path)
    except ValueError:
        raise CeremonyRefused("A list names a document that there is none of.", where=path) from None
    return path


def _bytes(metadata: Signed) -> bytes:
    return metadata.to_bytes(JSONSerializer(compact=False))
