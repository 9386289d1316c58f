# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a staged version changes, in words: everything that an officer puts a signature under, and nothing left out.

Each list and document is laid out flat as place → value; two layouts are compared place by place. A place is named by
what it is about (a key's id, an office's id), so that the words say the same whatever the order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from tuf.api.metadata import Role, Root, Targets

from broker.security import jwk
from broker.trust.layout import ONLINE_ROLES
from broker.trust.officer_keys import officer_of
from broker.trust.words import fingerprint_words

__all__ = ["Change", "compare", "lay_out_document", "lay_out_root", "lay_out_targets", "sentences"]

_NAMED_BY = ("id", "kid", "country", "kind", "name")  # members that tell the items of a list apart
_AMBIGUOUS = re.compile(r'^$|^none$|^\s|\s$|[,"]')
_VERSIONS = re.compile(r"(members/[A-Z]{2}\.json: (?:messages [a-z-]+\.|procedures ))[a-z-]+", re.ASCII)
_CATALOGUE = "catalogue.json: format"  # stands in every catalogue
_FILES = re.compile(r"(catalogue\.json: files [a-z-]+)/[a-z0-9./-]+", re.ASCII)
_MAX_SHOWN = 300  # characters of one value; a file of the catalogue is shown by its hash

Layout = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference; before or after is None where there is nothing."""

    place: str
    before: str | None
    after: str | None

    @property
    def sentence(self) -> str:
        """The difference in words."""
        if self.before is None:
            return f"new: {self.place} is {self.after}"
        if self.after is None:
            return f"gone: {self.place} (was {self.before})"
        return f"changed: {self.place} is {self.after} (was {self.before})"


def sentences(changes: Iterable[Change]) -> Iterator[str]:
    """Yield every change in words; a country's hundreds of messages in one for each procedure and list of versions.

    Who signs must find a new key among them. Nothing is left out, and only names of one plain form are joined. The
    hundreds of files of a catalogue where there was none are counted by folder: its document's hash stands for them all.
    """
    changes = sorted(changes, key=_order)
    first = any(change.place == _CATALOGUE and change.before is None for change in changes)
    for alike, group in groupby(changes, lambda change: _alike(change, first=first)):
        several = tuple(group)
        if alike is not None and alike[1:] == (None, None):
            yield f"new: {alike[0]}: {len(several)} files, as the hash of the document says"
            continue
        if alike is None or len(several) == 1:
            yield from (change.sentence for change in several)
            continue
        names = ", ".join(change.place.removeprefix(alike[0]) for change in several)
        yield replace(several[0], place=f"{alike[0].rstrip('. ')}: {names}").sentence.replace(" is ", " each is ", 1)


def _order(change: Change) -> tuple[str, str, str]:
    """By place; but of one procedure's messages those together that are taken in the same versions."""
    found = _VERSIONS.fullmatch(change.place)
    versions = "" if found is None else f"{change.before}:{change.after}"
    return change.place if found is None else found[1], versions, change.place


def _alike(change: Change, *, first: bool) -> tuple[str, str | None, str | None] | None:
    if first and (file := _FILES.fullmatch(change.place)) is not None:
        return file[1], None, None
    found = _VERSIONS.fullmatch(change.place)
    return None if found is None else (found[1], change.before, change.after)


def compare(before: Layout, after: Layout) -> tuple[Change, ...]:
    """Return every difference between two layouts, by place."""
    places = sorted({*before, *after})
    return tuple(
        Change(place=place, before=before.get(place), after=after.get(place))
        for place in places
        if before.get(place) != after.get(place)
    )


def lay_out_root(root: Root) -> dict[str, str]:
    """Return who signs what, by how many."""
    layout: dict[str, str] = {}
    for name, role in sorted(root.roles.items()):
        layout[f"{name}: signatures needed"] = _needed(role, alone=name in ONLINE_ROLES)
        for keyid in role.keyids:
            layout[f"{name}: key {keyid}"] = _who(root.keys[keyid])
    layout["consistent snapshots"] = "yes" if root.consistent_snapshot else "no"
    return layout


def lay_out_targets(targets: Targets) -> dict[str, str]:
    """Return who speaks for which member, and each document's length and hash."""
    layout: dict[str, str] = {}
    for path, file in targets.targets.items():
        hashes = " ".join(f"{name} {value}" for name, value in sorted(file.hashes.items()))
        layout[f"document {path}"] = f"{file.length} bytes, {hashes}"
    if targets.delegations is None:
        return layout
    for name, role in (targets.delegations.roles or {}).items():
        layout[f"{name}: signatures needed"] = _needed(role)
        layout[f"{name}: speaks for"] = _joined(role.paths or ())
        for keyid in role.keyids:
            layout[f"{name}: key {keyid}"] = _who(targets.delegations.keys[keyid])
    return layout


def lay_out_document(path: str, data: Any) -> dict[str, str]:
    """Return every value of a JSON document by its place."""
    layout: dict[str, str] = {}
    for place, value in _leaves(data, ""):
        name = named = f"{path}: {place}" if place else path
        count = 1
        while named in layout:  # two items of one id: neither may hide the other from who signs
            count += 1
            named = f"{name} (number {count})"
        layout[named] = value
    return layout


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from _members(value, place)
    elif isinstance(value, list) and all(isinstance(item, str | int | bool) for item in value):
        yield place, _joined(map(_text, value)) or "none"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place} {_item_name(item, index)}".strip())
    elif value is not None:  # null and missing mean the same in every document
        yield place, _text(value)


def _members(value: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    if set(value) in ({"crv", "kty", "x"}, {"alg", "kty", "pub"}):  # its thumbprint covers every member
        use, public = jwk.public_from_jwk(value)
        yield place, f"{use} {jwk.thumbprint(use, public)}"
        return
    for name, item in value.items():
        yield from _leaves(item, f"{place} {name}".strip())


def _item_name(item: Any, index: int) -> str:
    if isinstance(item, Mapping):
        if isinstance(item.get("jwk"), Mapping):
            use, public = jwk.public_from_jwk(item["jwk"])
            return str(jwk.thumbprint(use, public))
        for name in _NAMED_BY:
            if isinstance(item.get(name), str):
                return f"{item[name]}#{index}" if name in {"kind", "name"} else str(item[name])
    return f"#{index}"


def _joined(items: Iterable[str]) -> str:
    """Return the items in one line; one that could be taken for several, or for none, stands in quotes."""
    return ", ".join(json.dumps(item, ensure_ascii=False) if _AMBIGUOUS.search(item) else item for item in items)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if len(text) <= _MAX_SHOWN:
        return text
    return f"{len(text)} characters, SHA-256 {hashlib.sha256(text.encode('utf-8')).hexdigest()}"


def _needed(role: Role, *, alone: bool = False) -> str:
    """Return the threshold; where one stolen key would do, an officer who signs for it reads that."""
    text = f"{role.threshold} of {len(role.keyids)}"
    return text if alone or role.threshold > 1 else f"{text}, so that ONE PERSON ALONE can sign"


def _who(key: Any) -> str:
    officer = officer_of(key)
    return f"{officer.label} ({officer.country}), words of the key: {fingerprint_words(officer.public)}"
