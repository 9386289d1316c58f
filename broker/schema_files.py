# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the ``schemas/`` folder: of a checkout, or the copy that the installed package carries."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from broker.catalogue import Catalogue
from broker.catalogue.labels import Labels, Translation, read_translation
from broker.core.errors import CatalogueInvalid

__all__ = [
    "RETENTION_RULES", "list_profiles", "list_translations", "load_catalogue", "load_labels", "load_law",
    "load_translation", "read_schema_file", "read_schema_files",
]  # fmt: skip

_LABELS = "labels/"
_PROFILES = "profiles/"
_DOCUMENTS = "documents/"
_LAW = "law/"
_RETENTION = "retention/"
RETENTION_RULES = f"{_RETENTION}rules.json"  # how long cases are kept where a node says nothing else
# No node needs them for its messages: read one by one when they are asked for.
_APART = frozenset({_LABELS, _PROFILES, _DOCUMENTS, _LAW, _RETENTION})


def load_catalogue(folder: Path | None = None, earlier: Mapping[str, bytes] = MappingProxyType({})) -> Catalogue:
    """Return the catalogue of a folder; without one, of this program's own schemas.

    Args:
        folder: laid out as ``schemas/``.
        earlier: procedure tables of other catalogues, which open procedures may still be governed by.

    Raises:
        CatalogueInvalid: the folder cannot be read or holds a schema that cannot be used.
    """
    return Catalogue.from_files(read_schema_files(folder), earlier)


def read_schema_files(folder: Path | None = None) -> dict[str, bytes]:
    """Return every JSON file below ``schemas/`` by its path, without labels, country profiles and schemas of documents.

    Raises:
        CatalogueInvalid: the folder cannot be read.
    """
    root = _root(folder)
    try:
        return dict(_walk(root, ""))
    except OSError as error:
        raise CatalogueInvalid("The schemas folder cannot be read.", where=str(root)) from error


def list_profiles(folder: Path | None = None) -> dict[str, str]:
    """Return the countries whose profiles lie in the folder, each with the path for `read_schema_file`.

    Raises:
        CatalogueInvalid: the folder cannot be read.
    """
    return {name: f"{_PROFILES}{name}.json" for name in _names(_PROFILES, folder)}


def list_translations(folder: Path | None = None) -> tuple[str, ...]:
    """Return the languages that have a file of labels: a further language is a further file and nothing else.

    Raises:
        CatalogueInvalid: the folder cannot be read.
    """
    return tuple(_names(_LABELS, folder))


def load_labels(catalogue: Catalogue, folder: Path | None = None) -> Labels:
    """Return the labels that belong to a folder's catalogue; a language's file is read when it is first asked for."""
    return Labels(catalogue.english, lambda language: load_translation(language, folder))


def load_translation(language: str, folder: Path | None = None) -> Translation | None:
    """Return the labels of one language, None where the folder has no file for it.

    Raises:
        CatalogueInvalid: the file cannot be read or used.
    """
    path = f"{_LABELS}{language}.json"
    if not _root(folder).joinpath(*path.split("/")).is_file():
        return None
    return read_translation(read_schema_file(path, folder), language)


def read_schema_file(path: str, folder: Path | None = None) -> bytes:
    """Return one file below ``schemas/``, such as ``examples/demo/request.json``.

    Raises:
        CatalogueInvalid: there is no such file.
    """
    try:
        return _root(folder).joinpath(*path.split("/")).read_bytes()
    except OSError as error:
        raise CatalogueInvalid("The schemas folder lacks a file.", where=path) from error


def load_law(folder: Path | None = None) -> Mapping[str, Mapping[str, Any]]:
    """Return what is said of the law: ``sources`` by the abbreviations that files use, and ``safeguards`` by their numbers.

    Raises:
        CatalogueInvalid: the folder cannot be read.
    """
    return {name: orjson.loads(read_schema_file(f"{_LAW}{name}.json", folder)) for name in ("sources", "safeguards")}


def _names(below: str, folder: Path | None) -> list[str]:
    root = _root(folder)
    try:
        found = [item.name for item in root.joinpath(below).iterdir() if item.name.endswith(".json")]
    except OSError as error:
        raise CatalogueInvalid("The schemas folder cannot be read.", where=str(root)) from error
    return sorted(name.removesuffix(".json") for name in found)


def _root(folder: Path | None) -> Traversable:
    if folder is not None:
        return folder
    packaged = resources.files("broker") / "_schemas"
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[1] / "schemas"


def _walk(folder: Traversable, below: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for item in folder.iterdir():
        path = f"{below}{item.name}"
        if item.is_dir() and path + "/" not in _APART:
            found += _walk(item, f"{path}/")
        elif item.name.endswith(".json"):
            found.append((path, item.read_bytes()))
    return found
