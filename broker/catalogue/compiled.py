# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One schema ready for use: the validator compiled from it, the legal bases that it allows, the places that it leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jsonschema_rs
import orjson

from broker.catalogue.bundle import Bundle, self_contained
from broker.catalogue.dialect import END
from broker.catalogue.explaining import Problem, problems
from broker.catalogue.places import Places, places_in, unknown_place
from broker.core.errors import CatalogueInvalid
from broker.core.messages import LegalBasis

__all__ = ["CompiledSchema", "validator_of"]

_UNFIT = "This does not fit the schema."
_END = orjson.dumps(END)[1:]  # as it stands in JSON, with the quotation mark that closes the pattern


def validator_of(schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return the validator that decides.

    Its regular expressions end at ``$`` only where the text does, so that the dialect's end is written like that for it:
    a pattern that looks ahead runs on the slow one of its two engines.

    Raises:
        ValueError, jsonschema_rs.ReferencingError: the schema cannot be compiled.
    """
    written = orjson.loads(orjson.dumps(schema).replace(_END, b'$"'))
    return jsonschema_rs.Draft202012Validator(written, validate_formats=True, ignore_unknown_formats=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledSchema:
    """A schema with all that is made of it once. Built by `of`."""

    schema: Mapping[str, Any]
    validator: jsonschema_rs.Draft202012Validator
    places: Places | None  # where it leads to countries and languages
    exempting: tuple[str, ...]  # members that say what stands in for consent

    @classmethod
    def of(cls, bundle: Bundle, path: str) -> CompiledSchema:
        """Return the schema at a path of the bundle.

        Raises:
            CatalogueInvalid: it cannot be compiled.
        """
        schema = self_contained(bundle, path)
        try:
            validator = validator_of(schema)
        except (ValueError, jsonschema_rs.ReferencingError):
            raise CatalogueInvalid("The schema cannot be compiled.", where=path) from None
        members = schema.get("properties", {}).items()
        return cls(
            schema=MappingProxyType(schema),
            validator=validator,
            places=places_in(bundle.documents, path),
            exempting=tuple(name for name, item in members if item.get("x-trm-exemption")),
        )

    def accepts(self, instance: Any) -> bool:
        """The verdict: whatever the validator cannot even read (lone surrogates, foreign types) does not fit."""
        try:
            return self.validator.is_valid(instance)
        except (ValueError, TypeError, RecursionError):
            return False

    def problems(self, instance: Any, start: str) -> tuple[Problem, ...]:
        """All that is wrong, for people; empty exactly where the verdict is yes."""
        if self.accepts(instance):
            return ()
        return problems(self.schema, instance, start) or (Problem(pointer=start or "/", rule="form", sentence=_UNFIT),)

    def unknown_places(self, instance: Any, start: str) -> tuple[Problem, ...]:
        """The countries, languages and days that it names and that do not exist."""
        unknown = unknown_place(self.places, instance, start)
        return tuple(Problem(pointer=where, rule="exists", sentence=sentence) for where, sentence in unknown)

    def basis_problems(self, basis: LegalBasis, body: Any) -> tuple[Problem, ...]:
        """CASEWORK C-02: the bases that the type may rest on, and what each of them needs.

        That NATIONAL_LAW and AGREEMENT carry a citation is held by the header's schema.
        """
        bases: Mapping[str, Mapping[str, Any]] = self.schema.get("x-trm-bases", {})
        rule = bases.get(basis.code)
        if rule is None:
            return (_basis("x-trm-bases", f"A message of this type rests on one of: {', '.join(bases)}."),)
        return (*self._exemptions(rule, body), *_missing(rule, body))

    def _exemptions(self, rule: Mapping[str, Any], body: Any) -> Iterator[Problem]:
        """CASEWORK C-03: what stands in for consent depends on the basis; any other combination is refused (R-32)."""
        known = rule.get("exemptions", ())
        for name in self.exempting:
            if name in body and body[name] not in known:
                allowed = ", ".join(known) or "none"
                yield _basis("x-trm-exemption", f"On this basis the exemptions are: {allowed}.")


def _missing(rule: Mapping[str, Any], body: Any) -> Iterator[Problem]:
    for name in rule.get("requires", ()):
        if name not in body:
            yield _basis("x-trm-bases", f"This basis needs the member {name} in the body.")


def _basis(rule: str, sentence: str) -> Problem:
    return Problem(pointer="/legal_basis/code", rule=rule, sentence=sentence)
