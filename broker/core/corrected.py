# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message as it reads after a correction (GDPR 16, 19), so that the rules judge what was said anew as they judged it first.

A correction says what a place is to hold as text. What cannot be put there as a code, a list of countries or a text is
told as a trouble and left as it was: nobody could judge it.

- Only its own author corrects a message; a correction too may be corrected: what it says then is what it corrects by.
- Who reads corrections for a decision gives all at hand, those of procedures of their own too (`derived/archive.py`).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import replace
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import Any

from broker.core.ids import MessageType
from broker.core.messages import Body
from broker.core.reasons import Earlier, Level

__all__ = [
    "CORRECTING", "Trouble", "as_corrected", "by_assessment", "corrected", "is_correction", "replaced", "targets_of",
]  # fmt: skip

_COUNTRIES = frozenset({"nationalities", "former_habitual_residence", "feared_states"})
_CODED = frozenset({"status", "would_endanger", "outcome"})  # what the rules on origin and danger read beside them
_COUNTRY = re.compile(r"[A-Z]{2}|XXA", re.ASCII)
_CODE = re.compile(r"[A-Z][A-Z0-9]+(_[A-Z0-9]+)*", re.ASCII)
_NAMES = frozenset({"name", "aliases"})  # of people, whom some registers write in capitals alone
_UNKNOWN = "UNKNOWN"  # of every code list that has it; in another one the rules read it as not known all the same

# Acts that change what earlier messages say: in the procedure of those, and in procedures of their own (GDPR 16-19).
CORRECTING = frozenset({"correction", "rectify", "restrict", "erase"})
_WHOLE = frozenset({"restrict", "erase"})  # of those, of procedures of their own, about messages as a whole
_DECISION = "age_decision"


class Trouble(StrEnum):
    """Why a place was left as it was, or deserves a second look."""

    NO_SUCH_PLACE = "correction-without-place"
    WHOLE_PART = "correction-of-a-whole-part"
    NOT_A_CODE = "correction-not-a-code"
    IN_WORDS = "correction-in-words"
    SEALED = "correction-of-a-sealed-part"
    WITHHELD = "correction-tells-what-was-withheld"


def is_correction(kind: MessageType) -> bool:
    """Whether a message of that type changes what earlier ones said."""
    return kind.act == "correction" or (kind.procedure, kind.act) == ("correction", "rectify")


def targets_of(body: Body) -> tuple[str, ...]:
    """Return the digests of the messages that a correction is about."""
    return (body["target"],) if "target" in body else tuple(body.get("targets", ()))


def as_corrected(earlier: Sequence[Earlier]) -> tuple[Earlier, ...]:
    """Return the messages as they read now, in their order; only its own author corrects one."""
    found: dict[str, Earlier] = {item.digest: item for item in earlier}
    found |= {after.digest: after for _, after in _changes(earlier)}
    return tuple(found.values())


def by_assessment(earlier: Sequence[Earlier]) -> tuple[Earlier, ...]:
    """Return the messages as they read now; one whose assessment of danger was corrected counts as made then."""
    found: dict[str, Earlier] = {item.digest: item for item in earlier}
    for before, after in _changes(earlier):
        if before.body.get("danger_assessment") != after.body.get("danger_assessment"):
            del found[after.digest]
        found[after.digest] = after
    return tuple(found.values())


def replaced(earlier: Sequence[Earlier]) -> tuple[Earlier, ...]:
    """Return every reading of a message that a later correction changed, oldest first."""
    return tuple(before for before, _ in _changes(earlier))


def _changes(earlier: Sequence[Earlier]) -> Iterator[tuple[Earlier, Earlier]]:
    """Yield a message before and after each of its corrections: those of the corrections first, then by their order."""
    now: dict[str, Earlier] = {item.digest: item for item in earlier}
    names: dict[str, list[str]] = {item.digest: _meant(item, now) for item in earlier if item.type.act in CORRECTING}
    if not names:
        return
    correctors: dict[str, list[str]] = {}
    for digest, targets in names.items():
        for target in targets:
            correctors.setdefault(target, []).append(digest)
    chained = {digest: correctors[digest] for digest in names if digest in correctors}
    sequence = TopologicalSorter(chained).static_order() if chained else ()
    steps = [(by, digest) for digest in sequence for by in chained.get(digest, ())]
    steps += [(by, target) for by, targets in names.items() for target in targets if target not in chained]
    for by, digest in steps:
        before = now[digest]
        now[digest] = after = _apply(now[by], before)
        if after != before:
            yield before, after


def _meant(item: Earlier, held: Mapping[str, Earlier]) -> list[str]:
    """Return which of the messages at hand a correction changes: those of its author."""
    named = dict.fromkeys(targets_of(item.body))
    return [one for one in named if one != item.digest and one in held and held[one].author == item.author]


def _apply(correction: Earlier, target: Earlier) -> Earlier:
    fields = correction.body.get("fields", ()) if is_correction(correction.type) else ()
    body, _ = corrected(target.body, fields)
    limited = target.limited if fields else _limited(correction, target)
    fell = any(field["pointer"] == f"/{_DECISION}" and "value" not in field["now"] for field in fields)
    if _DECISION in body and (fell or limited is not None):
        body = {name: item for name, item in body.items() if name != _DECISION}
    return replace(target, body=body, limited=limited)


def _limited(correction: Earlier, target: Earlier) -> Level | None:
    """Return what a message as a whole may be used for after a correction: what is to be erased is never free again."""
    kind = correction.type.act.upper() if correction.type.act in _WHOLE else correction.body.get("kind")
    if kind == "ERASE" or target.limited is Level.BLOCK:
        return Level.BLOCK
    return {"RESTRICT": Level.HOLD, "UNRESTRICT": None}.get(str(kind), target.limited)


def corrected(body: Body, fields: Sequence[Mapping[str, Any]]) -> tuple[Body, tuple[tuple[int, Trouble], ...]]:
    """Return the body with each field put in its place, and what is in the way, by the field's position."""
    changed: Any = copy.deepcopy(dict(body))
    troubles: list[tuple[int, Trouble]] = []
    for position, field in enumerate(fields):
        troubles.extend((position, trouble) for trouble in _put(changed, field["pointer"], field["now"]))
    return changed, tuple(troubles)


def _put(body: Any, pointer: str, now: Mapping[str, Any]) -> Iterator[Trouble]:
    _, *steps = pointer.split("/")
    if not steps:  # a correction of a correction may have made words of it
        yield Trouble.NO_SUCH_PLACE
        return
    *path, last = steps
    holder = body
    for step in path:
        if _is_sealed(holder):
            break
        holder = _child(holder, step)
    if _is_sealed(holder) or _is_sealed(_child(holder, last)):
        yield Trouble.SEALED
        return
    name = path[-1] if last == "value" and path else last
    old = _child(holder, last)
    fact = holder if last == "value" and _is_fact(holder) else old
    if isinstance(fact, Mapping) and "withheld" in fact and "value" in now:
        yield Trouble.WITHHELD
    if name not in _COUNTRIES | _CODED and _NAMES.isdisjoint(path) and _in_words(fact, now):
        yield Trouble.IN_WORDS
    if last == "value" and _is_fact(holder):
        yield from _put_fact(holder, name, now)
    elif _is_fact(old):
        yield from _put_fact(old, name, now)
    elif old is None and name in _COUNTRIES and isinstance(holder, MutableMapping):
        holder[last] = {}
        yield from _put_fact(holder[last], name, now)
    elif old is None:
        yield Trouble.NO_SUCH_PLACE
    elif isinstance(old, Mapping) or (isinstance(old, list) and not all(isinstance(item, str) for item in old)):
        yield Trouble.WHOLE_PART
    else:
        yield from _put_plain(holder, last, now, listed=isinstance(old, list), name=_named(path, last))


def _put_fact(fact: MutableMapping[str, Any], name: str, now: Mapping[str, Any]) -> Iterator[Trouble]:
    old = fact.get("value")
    if "value" not in now:
        _replace(fact, dict(now))
    elif isinstance(old, Mapping) or (isinstance(old, list) and not all(isinstance(item, str) for item in old)):
        yield Trouble.WHOLE_PART
    elif name in _COUNTRIES or isinstance(old, list):
        words = _words(now["value"])
        if name in _COUNTRIES and not all(_COUNTRY.fullmatch(word) for word in words):
            yield Trouble.NOT_A_CODE
        _replace(fact, {"value": words})
    else:
        _replace(fact, {"value": now["value"]})


def _put_plain(holder: Any, last: str, now: Mapping[str, Any], *, listed: bool, name: str) -> Iterator[Trouble]:
    text = now.get("value", _UNKNOWN)
    value: Any = _words(text) if listed else text
    if name in _COUNTRIES and not all(_COUNTRY.fullmatch(word) for word in _words(text)):
        yield Trouble.NOT_A_CODE
    if name in _CODED:
        value = text.strip().upper()
    if isinstance(holder, MutableSequence):
        first, *others = (_words(text) if name in _COUNTRIES else ()) or (text,)
        holder[int(last)] = first
        holder.extend(others)  # behind the rest: the next field still finds its place
    else:
        holder[last] = value


def _in_words(old: Any, now: Mapping[str, Any]) -> bool:
    """Whether a code would be words, which no rule reads."""
    said = old.get("value") if isinstance(old, Mapping) else old
    code = isinstance(said, str) and _CODE.fullmatch(said) is not None
    return code and "value" in now and _CODE.fullmatch(now["value"]) is None


def _named(path: Sequence[str], last: str) -> str:
    """Return the name of what a plain value is one of: its own, or of the list that it stands in."""
    names = [step for step in (*path, last) if step != "value" and not step.isdigit()]
    return names[-1] if names else last


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,;/]+", text.upper()) if word]


def _child(holder: Any, step: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(step)
    if isinstance(holder, list) and step.isdigit() and int(step) < len(holder):
        return holder[int(step)]
    return None


def _is_fact(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and len(node) == 1
        and not {"value", "unknown", "not_applicable", "withheld"}.isdisjoint(node)
    )


def _is_sealed(node: Any) -> bool:
    inner = node.get("value", node) if isinstance(node, dict) else None
    return isinstance(inner, dict) and {"kid", "jwe"} <= inner.keys()


def _replace(fact: MutableMapping[str, Any], new: Mapping[str, Any]) -> None:
    fact.clear()
    fact.update(new)
