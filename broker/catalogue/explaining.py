# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sentences for people about what does not fit a schema, made of the schema alone.

The validator's own texts are never used: they quote the message, and a child's name would travel into logs and receipts.
Nor is an unknown member named, for a name can stand in the place of a member name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["MAX_PROBLEMS", "Problem", "pointer", "problems"]

MAX_PROBLEMS = 50  # nobody reads more, and a hostile message could have millions
MAX_ITEMS = 1000  # far above every maxItems: `jsonschema` compares a longer list pair by pair
MAX_VALUES = 15_000  # in a whole body: two hundred children registered have 13,000; each takes up to 0.1 ms to look at


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that is wrong: where, which rule, and a sentence without any value of the message."""

    pointer: str  # RFC 6901, of schema-known names and list positions only
    rule: str  # JSON Schema keyword, or our own word for a rule outside the schema
    sentence: str


def pointer(start: str, path: Sequence[str | int]) -> str:
    """Return the JSON pointer below ``start``."""
    return start + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def problems(schema: Mapping[str, Any], instance: Any, start: str) -> tuple[Problem, ...]:
    """Return what is wrong with the instance in the order of its places, at most `MAX_PROBLEMS`; empty: it fits."""
    sentence = _too_much(instance)
    if sentence is not None:
        return (Problem(pointer=start or "/", rule="maxItems", sentence=sentence),)
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    found: set[Problem] = set()
    for error in validator.iter_errors(instance):
        found.update(_explain(error, start))
        if len(found) >= MAX_PROBLEMS:
            break
    return tuple(sorted(found)[:MAX_PROBLEMS])


def _too_much(instance: Any) -> str | None:
    """Say why nobody looks at each value: a hostile message would hold up every other for seconds."""
    waiting, seen = [instance], 0
    while waiting:
        item, seen = waiting.pop(), seen + 1
        if isinstance(item, list):
            if len(item) > MAX_ITEMS:
                return f"A list has more than {MAX_ITEMS} items."
            waiting += item
        elif isinstance(item, Mapping):
            waiting += item.values()
        if seen + len(waiting) > MAX_VALUES:
            return f"It has more than {MAX_VALUES} values: what is wrong with so many is not looked for."
    return None


def _explain(error: ValidationError, start: str) -> Iterator[Problem]:
    where = pointer(start, tuple(error.absolute_path))
    rule = str(error.validator)
    if rule == "required":
        for name in _missing(error):
            yield Problem(pointer=f"{where}/{name}", rule=rule, sentence="This member is required.")
    elif rule == "dependentRequired":
        for name in _dependent(error):
            yield Problem(
                pointer=f"{where}/{name}", rule=rule, sentence="This member is required beside the others given."
            )
    else:
        yield Problem(pointer=where or "/", rule=rule, sentence=_sentence(rule, error))


def _missing(error: ValidationError) -> list[str]:
    present = error.instance if isinstance(error.instance, Mapping) else {}
    wanted: Sequence[str] = error.validator_value if isinstance(error.validator_value, Sequence) else ()
    return [name for name in wanted if name not in present]


def _dependent(error: ValidationError) -> list[str]:
    present = error.instance if isinstance(error.instance, Mapping) else {}
    wanted: Mapping[str, Sequence[str]] = error.validator_value if isinstance(error.validator_value, Mapping) else {}
    return [name for given, names in wanted.items() if given in present for name in names if name not in present]


_KINDS = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
}


def _sentence(rule: str, error: ValidationError) -> str:
    """Return the rule in words; only schema values enter the text."""
    value: Any = error.validator_value
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    match rule:
        case "additionalProperties":
            known = ", ".join(sorted(schema.get("properties", {})))
            return f"There is a member that this version does not know. Known here: {known}."
        case "type":
            return f"This must be {_KINDS.get(str(value), str(value))}."
        case "enum":
            return f"This must be one of: {', '.join(str(item) for item in value)}."
        case "anyOf":
            return f"This must give {' or '.join(str(item.get('title', 'another form')) for item in value)}."
        case "maxProperties" | "minProperties" if schema.get("minProperties") == schema.get("maxProperties") == 1:
            return f"This must have exactly one of: {', '.join(schema.get('properties', {}))}."
        case "const":
            return f"This must be {str(value).lower() if isinstance(value, bool) else value}."
        case "contains":
            return f"The list lacks {value.get('title', 'a required kind of item')}."
        case "not" if value == {}:
            return "This member does not belong here."
        case "not" if isinstance(value, Mapping) and "pattern" in value:
            return "The text holds control characters."
        case "pattern":
            return (
                f"The text does not have the form: {schema.get('description') or schema.get('title', 'see the schema')}"
            )
        case _:
            return _BOUNDS.get(rule, "This does not fit the schema.").format(value)


_BOUNDS = {
    "format": "This is not a day of the calendar.",
    "maxItems": "The list has more than {} items.",
    "maxLength": "The text is longer than {} characters.",
    "maximum": "The number is larger than {}.",
    "maxProperties": "There are more than {} members.",
    "minItems": "The list has fewer than {} items.",
    "minLength": "The text is shorter than {} characters.",
    "minProperties": "There are fewer than {} members.",
    "minimum": "The number is smaller than {}.",
    "uniqueItems": "The list holds the same item twice.",
}
