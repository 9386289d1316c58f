# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""``catalogue.json``: every file of ``schemas/`` that a node reads, in one signed document, by path.

A bundle that does not load is refused before anybody signs it and again by every node that reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from broker.core import canonical
from broker.core.errors import CatalogueInvalid, TrustListInvalid
from broker.core.trust import TrustRule
from broker.trust.strict import Fields, exactly, placed, read_json, write_json

if TYPE_CHECKING:
    from broker.catalogue import Catalogue

__all__ = ["FORMAT", "PROCEDURES", "load_bundle", "read_bundle_files", "tables_of", "write_bundle"]

PROCEDURES = "procedures/"  # in `schemas/`, and where a node keeps the tables of earlier catalogues
FORMAT = "trm-catalogue/1"
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*){1,5}\.json", re.ASCII)
_LEFT_OUT = "examples/"  # for people, not for nodes
_MAX_FILES = 5000


def write_bundle(files: Mapping[str, bytes]) -> bytes:
    """Return the document of these files by their paths below ``schemas/``; examples are left out.

    Raises:
        TrustListInvalid: the files do not make a catalogue; nothing that does not load is put before officers.
    """
    texts = {path: raw.decode("utf-8") for path, raw in files.items() if not path.startswith(_LEFT_OUT)}
    raw = write_json({"format": FORMAT, "files": texts})
    load_bundle(raw)
    return raw


def load_bundle(raw: bytes, earlier: Mapping[str, bytes] = MappingProxyType({})) -> Catalogue:
    """Return the catalogue that a document's bytes make, knowing the procedure tables of earlier ones besides.

    Raises:
        TrustListInvalid: it does not have its form, or its files do not make a catalogue; ``where`` names the file.
    """
    from broker.catalogue import Catalogue

    try:
        return Catalogue.from_files(read_bundle_files(raw), earlier)
    except CatalogueInvalid as error:
        where = f"catalogue.json: {error.where or ''}"
        raise TrustListInvalid(error.detail, where=where, rule=TrustRule.CATALOGUE) from None


def tables_of(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the procedure tables among a catalogue's files, each under a name that no other table has."""
    return {
        f"{PROCEDURES}{canonical.digest(raw)}.json": raw for path, raw in files.items() if path.startswith(PROCEDURES)
    }


def read_bundle_files(raw: bytes) -> dict[str, bytes]:
    """Return the files of a document by their paths.

    Raises:
        TrustListInvalid: it does not have its form, or a path in it leads elsewhere.
    """
    return placed("catalogue.json: ", _files_of, read_json(raw, where="catalogue.json"))


def _files_of(data: Any) -> dict[str, bytes]:
    fields = Fields(data)
    fields.take("format", exactly(FORMAT))
    files = fields.take("files", _files)
    fields.finish()
    return files


def _files(value: Any) -> dict[str, bytes]:
    if not isinstance(value, Mapping) or len(value) > _MAX_FILES:
        raise ValueError("not an object of at most so many files")
    for path, text in value.items():
        if _PATH.fullmatch(path) is None or ".." in path or not isinstance(text, str):
            raise TrustListInvalid(
                "A file has a path or content that none may have.", where="/files", rule=TrustRule.CATALOGUE
            )
    return {path: text.encode("utf-8") for path, text in value.items()}
