# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What codes, fields, states and deadlines are called in the reader's language.

English is what schemas, lists and tables say themselves (``title``, ``description``). Every other language is one file,
``labels/<language>.json``; each of its entries holds the English that was translated, so that a label is known to be
stale once the English has changed. A label that is missing or stale falls back to English, never to a code alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import orjson

from broker.catalogue.bundle import Bundle
from broker.core.errors import CatalogueInvalid
from broker.core.procedures import ProcedureTable

__all__ = [
    "LANGUAGES",
    "SOURCE_LANGUAGE",
    "Gaps",
    "Label",
    "Labels",
    "ReviewStatus",
    "Translation",
    "english_labels",
    "find_gaps",
    "read_translation",
]

SOURCE_LANGUAGE = "en"
LANGUAGES = ("en", "da", "et", "fi", "lt", "lv", "sv")  # complete at every release; a further one is a further file
_TAG = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")  # BCP 47 as far as a file may be named by it
HELP = "#help"
_FACT = "/parts/fact.json"
_NOT_READ_BY_PEOPLE = (  # of programs for programs
    "messages/node/", "submission/", "parts/digest.", "parts/line.", "parts/message-type.", "parts/sealed.", "parts/text.",
    "parts/uuid7.", "parts/version.",
)  # fmt: skip
_MAX_FILE = 8 * 1_048_576  # bytes


class ReviewStatus(StrEnum):
    """Whether somebody who speaks the language and knows the work has read a translation."""

    SOURCE = "source"  # English as the schemas say it
    REVIEWED = "reviewed"
    UNREVIEWED = "unreviewed"  # made by machine; shown to the user


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text for people, with the language it is really in and how far it can be trusted."""

    text: str
    language: str
    status: ReviewStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """One language's labels as its file holds them."""

    language: str
    name: str  # the language's own name
    status: ReviewStatus
    labels: Mapping[str, tuple[str, str]]  # key → (the English that was translated, the text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What a translation lacks, each a sorted list of keys."""

    missing: tuple[str, ...]
    stale: tuple[str, ...]  # the English has changed since
    unused: tuple[str, ...]  # no schema, list or table has it any more

    def __bool__(self) -> bool:
        """Whether there is anything to mend."""
        return bool(self.missing or self.stale or self.unused)


class Labels:
    """Gives every label in the reader's language; reads a language when it is first asked for."""

    def __init__(self, english: Callable[[], Mapping[str, str]], read: Callable[[str], Translation | None]) -> None:
        """Take the English labels and a reader that returns None for a language that has no file."""
        self._english = english
        self._read = read
        self._loaded: dict[str, Translation] = {}

    def label(self, key: str, language: str) -> Label:
        """Return the label of a key, in English where the language lacks it.

        Raises:
            CatalogueInvalid: nothing has that key, or the language's file cannot be used.
        """
        english = self._english().get(key)
        if english is None:
            return self._shared(key, language)
        for wanted in _fallbacks(language):
            translation = self._translation(wanted)
            source, text = translation.labels.get(key, ("", "")) if translation else ("", "")
            if translation and source == english:
                return Label(text=text, language=wanted, status=translation.status)
        return Label(text=english, language=SOURCE_LANGUAGE, status=ReviewStatus.SOURCE)

    def _shared(self, key: str, language: str) -> Label:
        """Return the label of a shared act's message or field: ``messages/<procedure>/<act>…`` → ``parts/acts/<act>…``."""
        owner, _, below = key.partition("/")
        procedure, _, act = below.partition("/")
        shared = f"parts/acts/{act}"
        if owner != "messages" or shared not in self._english():
            raise CatalogueInvalid("There is no label of that key.", where=key)
        label = self.label(shared, language)
        if "/" in act or act.endswith(HELP):
            return label
        whole = self.label(f"procedures/{procedure}", language)
        return replace(label, text=f"{whole.text}: {label.text}")

    def code(self, list_name: str, code: str, language: str) -> Label:
        """Return what a code of a list means.

        Raises:
            CatalogueInvalid: the list has no such code.
        """
        return self.label(f"codes/{list_name}/{code}", language)

    def field(self, owner: str, path: Sequence[str], language: str) -> Label:
        """Return the name of a field of ``messages/<procedure>/<act>``, ``parts/<part>`` or ``header``.

        Raises:
            CatalogueInvalid: there is no such field.
        """
        return self.label("/".join((owner, *path)), language)

    def help(self, key: str, language: str) -> Label | None:
        """Return the sentence that explains a field, list, part or message; None where it has none."""
        shared = "/".join(("parts/acts", *key.split("/")[2:]))
        known = key + HELP in self._english() or (key.startswith("messages/") and shared + HELP in self._english())
        return self.label(key + HELP, language) if known else None

    def state(self, procedure: str, state: str, language: str) -> Label:
        """Return the name of a procedure's state.

        Raises:
            CatalogueInvalid: the procedure has no such state.
        """
        return self.label(f"procedures/{procedure}/states/{state}", language)

    def act(self, procedure: str, act: str, language: str) -> Label:
        """Return the name of a procedure's act.

        Raises:
            CatalogueInvalid: the procedure has no such act.
        """
        return self.label(f"procedures/{procedure}/acts/{act}", language)

    def known(self) -> Iterator[str]:
        """Yield the key of everything that has a label."""
        return iter(self._english())

    def status(self, language: str) -> ReviewStatus | None:
        """Return how far a language's labels can be trusted; None: it has no file."""
        if language == SOURCE_LANGUAGE:
            return ReviewStatus.SOURCE
        translation = self._translation(language)
        return None if translation is None else translation.status

    def _translation(self, language: str) -> Translation | None:
        if language == SOURCE_LANGUAGE or not _TAG.fullmatch(language):
            return None
        if language not in self._loaded:
            found = self._read(language)
            if found is None:  # not remembered: readers may ask for any language there is
                return None
            self._loaded[language] = found
        return self._loaded[language]


def english_labels(bundle: Bundle) -> Mapping[str, str]:
    """Return every key with its English label, in the order of files and of what stands in them.

    Where versions of one message type or table differ, the newest says what a field is called.
    """
    found: dict[str, str] = {}
    for path in sorted(bundle.documents, key=_oldest_first):
        if not path.startswith(_NOT_READ_BY_PEOPLE) and not _is_shared(bundle.documents[path]):
            found.update(_of_document(path, bundle.documents[path]))
    for table in sorted(bundle.tables.values(), key=lambda table: table.version.key):
        found.update(_of_table(table))
    return MappingProxyType(found)


def read_translation(raw: bytes, language: str) -> Translation:
    """Read one language's file.

    Raises:
        CatalogueInvalid: it is not the file of a translation into that language; ``where`` names the place.
    """
    where = f"labels/{language}.json"
    if len(raw) > _MAX_FILE:
        raise CatalogueInvalid("The file is too large.", where=where)
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise CatalogueInvalid("The file is not JSON.", where=where) from None
    if not isinstance(data, dict) or data.keys() != {"language", "name", "status", "labels"}:
        raise CatalogueInvalid("A translation has language, name, status and labels.", where=where)
    if data["language"] != language or not isinstance(data["name"], str):
        raise CatalogueInvalid("The file is not of the language that its name says.", where=where)
    if data["status"] not in (ReviewStatus.REVIEWED, ReviewStatus.UNREVIEWED):
        raise CatalogueInvalid("The status is reviewed or unreviewed.", where=where)
    if not isinstance(data["labels"], dict):
        raise CatalogueInvalid("The labels must be an object.", where=where)
    return Translation(
        language=language,
        name=data["name"],
        status=ReviewStatus(data["status"]),
        labels=MappingProxyType({key: _entry(item, f"{where}#{key}") for key, item in data["labels"].items()}),
    )


def find_gaps(english: Mapping[str, str], translation: Translation) -> Gaps:
    """Compare a translation with what is to be translated."""
    labels = translation.labels
    return Gaps(
        missing=tuple(sorted(key for key in english if not labels.get(key, ("", ""))[1])),
        stale=tuple(sorted(key for key, (source, _) in labels.items() if key in english and english[key] != source)),
        unused=tuple(sorted(key for key in labels if key not in english)),
    )


def _entry(item: Any, where: str) -> tuple[str, str]:
    if not isinstance(item, dict) or item.keys() != {"en", "text"}:
        raise CatalogueInvalid("A label has the members en and text.", where=where)
    if not all(isinstance(text, str) and text.strip() == text and text for text in item.values()):
        raise CatalogueInvalid("A label's members are texts without space around them.", where=where)
    return item["en"], item["text"]


def _fallbacks(language: str) -> tuple[str, ...]:
    """The language as asked for, then without its region: ``sv-FI``, ``sv``."""
    primary = language.partition("-")[0]
    return (language,) if primary == language else (language, primary)


def _oldest_first(path: str) -> tuple[str, tuple[int, ...]]:
    """Put ``…/1.10.json`` after ``…/1.9.json``."""
    folder, _, name = path.rpartition("/")
    numbers = name.removesuffix(".json").split(".")
    version = tuple(int(number) for number in numbers) if all(number.isdigit() for number in numbers) else ()
    return (folder if version else path, version)


def _is_shared(schema: Mapping[str, Any]) -> bool:
    """Whether it is a shared act that stands in a family as it is: the act's own labels name it and its fields."""
    return str(schema.get("$ref", "")).startswith("/parts/acts/")


def _of_document(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    owner = path.removesuffix(".json")
    if path.startswith("messages/header/"):
        owner = "header"
    elif path.startswith(("messages/", "parts/acts/")):
        owner = path.rpartition("/")[0]
    yield from _said(owner, schema)
    for code, item in schema.get("x-trm-codes", {}).items():
        yield from _said(f"{owner}/{code}", item)
    yield from _fields(owner, schema)


def _fields(owner: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Walk what a person fills in; lists and the values of facts have the name of the field that holds them."""
    if "items" in schema:
        yield from _fields(owner, schema["items"])
    for name, item in schema.get("properties", {}).items():
        if schema.get("$ref") == _FACT:
            yield from _fields(owner, item)
        else:
            yield from _said(f"{owner}/{name}", item)
            yield from _fields(f"{owner}/{name}", item)


def _said(key: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "title" in schema:
        yield key, str(schema["title"])
    if "description" in schema:
        yield key + HELP, str(schema["description"])


def _of_table(table: ProcedureTable) -> Iterator[tuple[str, str]]:
    owner = f"procedures/{table.procedure}"
    yield owner, table.title
    if table.description:
        yield owner + HELP, table.description
    for state, title in table.states.items():
        yield f"{owner}/states/{state}", title
    for act in table.acts.values():
        if act.title:
            yield f"{owner}/acts/{act.name}", act.title
    for deadline in table.deadlines:
        yield f"{owner}/deadlines/{deadline.id}", deadline.title
        yield f"{owner}/deadlines/{deadline.id}/silence", deadline.silence
