# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue: holds a message against header schema, body schema and the legal bases of its type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import jsonschema_rs

from broker.catalogue.bundle import (
    DEFINITIONS,
    HEADER,
    SUBMISSION,
    Bundle,
    CodeList,
    read_bundle,
    read_tables,
    self_contained,
)
from broker.catalogue.explaining import Problem, problems
from broker.catalogue.families import SHARED
from broker.catalogue.labels import english_labels
from broker.catalogue.people import People, people_in, spoken_of
from broker.catalogue.places import Places, places_in, unknown_language, unknown_place
from broker.catalogue.sealed_places import sealed_places
from broker.catalogue.submissions import normalised, to_submission
from broker.core.attachments import check_attachments
from broker.core.content import decode_header, encode_header
from broker.core.errors import (
    BasisNotAllowed,
    BrokerError,
    CatalogueInvalid,
    HeaderInvalid,
    SchemaInvalid,
    UnknownSchemaVersion,
    UnknownType,
    VersionNotSupported,
)
from broker.core.ids import Digest, MessageType, SchemaVersion
from broker.core.messages import Body, Draft, Header, LegalBasis, Submission, ValidMessage, VerifiedMessage
from broker.core.persons import Person
from broker.core.procedures import ProcedureTable
from broker.core.roles import AuditRole

__all__ = ["Catalogue"]

_UNFIT = "This does not fit the schema."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """A schema with the validator compiled from it once."""

    schema: Mapping[str, Any]
    validator: jsonschema_rs.Draft202012Validator
    places: Places | None = None  # where it leads to countries and languages

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


class Catalogue:
    """Message schemas, code lists and procedure tables of one bundle. Built by `from_files`."""

    def __init__(self, bundle: Bundle, earlier: Mapping[Digest, ProcedureTable] = MappingProxyType({})) -> None:
        """Args:
        bundle: what messages are held against, and the tables that new procedures are opened by.
        earlier: tables that are found by digest alone: a procedure is governed for life by the one it was opened by.
        """
        self._bundle = bundle
        self._earlier = earlier
        self._header = _compile(bundle, HEADER)
        self._submission = _compile(bundle, SUBMISSION)
        self._bodies: dict[tuple[MessageType, SchemaVersion], _Compiled] = {}  # a node meets few of all types
        self._parts: dict[str, _Compiled] = {}  # of what is sealed: nodes never need one
        self._english: Mapping[str, str] | None = None  # made when first asked for
        self._people: dict[tuple[MessageType, SchemaVersion], People | None] = {}  # likewise
        self._versions: dict[MessageType, tuple[SchemaVersion, ...]] = {}
        for kind, _ in bundle.messages:
            versions = (version for known, version in bundle.messages if known == kind)
            self._versions[kind] = tuple(sorted(versions, key=lambda version: version.key))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], earlier: Mapping[str, bytes] = MappingProxyType({})) -> Self:
        """Build it from the files of ``schemas/``, named by their paths below it.

        Args:
            files: of this catalogue.
            earlier: procedure tables of other catalogues, which open procedures may still be governed by.

        Raises:
            CatalogueInvalid: a schema, code list or table cannot be used; ``where`` names file and place.
        """
        bundle = read_bundle(files)
        if "legal-basis" not in bundle.codes:
            raise CatalogueInvalid("This code list is missing.", where="codes/legal-basis.json")
        for (kind, version), path in bundle.messages.items():
            unknown = bundle.documents[path].get("x-trm-bases", {}).keys() - bundle.codes["legal-basis"].codes.keys()
            if unknown:
                raise CatalogueInvalid("x-trm-bases names a basis that is in no list.", where=f"{kind} {version}")
        return cls(bundle, MappingProxyType(read_tables(earlier)))

    # --- what a message must be -------------------------------------------------------------------------------------

    def validate(self, draft: Draft) -> ValidMessage:
        """Hold an outbound message against the schemas of its exact type and version.

        Raises:
            HeaderInvalid, UnknownType, VersionNotSupported, SchemaInvalid, BasisNotAllowed: what is wrong and where.
        """
        header = draft.header
        self._check_header(encode_header(header), header)
        self._check_version(header, newer=VersionNotSupported)
        self._check_body(header, draft.body)
        self._check_places(header, draft.body)
        return ValidMessage(header=header, body=draft.body)

    def admit(self, verified: VerifiedMessage) -> ValidMessage:
        """Hold an inbound message against the same schemas.

        Raises:
            HeaderInvalid, UnknownType, VersionNotSupported, SchemaInvalid, BasisNotAllowed: it is refused.
            UnknownSchemaVersion: its version is newer than this catalogue; it is parked.
        """
        header = decode_header(verified.header)
        self._check_header(verified.header, header)
        self._check_version(header, newer=UnknownSchemaVersion)
        self._check_body(header, verified.body)
        return ValidMessage(header=header, body=verified.body)

    def parse_submission(
        self, data: Any, *, actor: str, route: str, idempotency_key: str, role: AuditRole = AuditRole.OFFICER
    ) -> Submission:
        """Return the submission that a JSON object describes; its body is not judged yet.

        Raises:
            BadRequest: it is no JSON object.
            SchemaInvalid: a member is missing, unknown or not of its form; ``where`` points at it.
        """
        normal = self._read_submission(data)
        return to_submission(normal, actor=actor, role=role, route=route, idempotency_key=idempotency_key)

    def read_submission(self, data: Any) -> tuple[dict[str, Any], Submission]:
        """Return a submission as an office has it before it seals: its normal JSON form, and typed.

        Raises:
            BadRequest, SchemaInvalid: as `parse_submission`.
        """
        normal = self._read_submission(data)
        return normal, to_submission(normal, actor="", role=AuditRole.OFFICER, route="", idempotency_key="")

    def _read_submission(self, data: Any) -> dict[str, Any]:
        normal = normalised(data)
        found = self._submission.problems(normal, "")
        if found:
            raise SchemaInvalid(found[0].sentence, where=found[0].pointer)
        return normal

    def _check_header(self, data: Mapping[str, Any], header: Header) -> None:
        if not self._header.accepts(data):
            problem = self._header.problems(data, "/header")[0]
            raise HeaderInvalid(problem.sentence, where=problem.pointer)
        if header.procedure is not None and header.procedure.name != header.type.procedure:
            raise HeaderInvalid("The message type belongs to another procedure.", where="/header/procedure/name")
        check_attachments(header.attachments)

    def _check_version(self, header: Header, *, newer: type[BrokerError]) -> None:
        versions = self._versions.get(header.type)
        if versions is None:
            raise UnknownType(where="/header/type")
        if header.version in versions:
            return
        if header.version.key > versions[-1].key:
            raise newer(where="/header/version")
        raise VersionNotSupported(where="/header/version")

    def _check_body(self, header: Header, body: Any) -> None:
        compiled = self._compiled(header.type, header.version)
        if not compiled.accepts(body):
            problem = compiled.problems(body, "/body")[0]
            raise SchemaInvalid(problem.sentence, where=problem.pointer)
        if header.legal_basis is not None:
            found = _basis_problems(compiled.schema, header.legal_basis, body)
            if found:
                raise BasisNotAllowed(found[0].sentence, where=f"/header{found[0].pointer}")

    def _check_places(self, header: Header, body: Any) -> None:
        """Refuse a country or language that does not exist: nobody there could be found, or could read it."""
        if header.language is not None:
            for where, sentence in unknown_language(header.language, "/header/language"):
                raise HeaderInvalid(sentence, where=where)
        for where, sentence in unknown_place(self._compiled(header.type, header.version).places, body, "/body"):
            raise SchemaInvalid(sentence, where=where)

    def people(self, header: Header, body: Body) -> tuple[Person, ...]:
        """Return everyone whom a message speaks of by name or birth; of a type that is not here, nobody."""
        kind = header.type, header.version
        if kind not in self._bundle.messages:
            return ()
        if kind not in self._people:
            self._people[kind] = people_in(self._bundle.documents, self._bundle.messages[kind])
        return tuple(spoken_of(self._people[kind], body))

    # --- sealed parts -----------------------------------------------------------------------------------------------

    def sealed_schemas(self, kind: MessageType, version: SchemaVersion, body: Any) -> tuple[tuple[str, str], ...]:
        """Return each place of a body that is to be sealed, with the path of the schema of what is inside.

        Raises:
            UnknownType, VersionNotSupported: there is no such schema.
        """
        self._known(kind, version)
        return tuple(sealed_places(self._bundle.documents, self._bundle.messages[kind, version], body))

    def explain_part(self, path: str, inside: Any, where: str, *, leaving: bool) -> tuple[Problem, ...]:
        """Return all that is wrong with what stands, or is to stand, inside a sealed part; empty: it fits.

        Args:
            path: of its schema, as `sealed_schemas` gives it.
            inside: what the office has in clear.
            where: the part's place.
            leaving: it is about to be sealed, so the countries and languages that it names must exist.
        """
        if path not in self._parts:
            self._parts[path] = _compile(self._bundle, path)
        compiled = self._parts[path]
        found = compiled.problems(inside, where)
        if found or not leaving:
            return found
        unknown = unknown_place(compiled.places, inside, where)
        return tuple(Problem(pointer=place, rule="exists", sentence=sentence) for place, sentence in unknown)

    # --- explaining -------------------------------------------------------------------------------------------------

    def explain(self, kind: MessageType, version: SchemaVersion, body: Any) -> tuple[Problem, ...]:
        """Return all that is wrong with a body, without any of its values; empty: it fits.

        Raises:
            UnknownType, VersionNotSupported: there is no such schema.
        """
        return self._compiled(kind, version).problems(body, "/body")

    def explain_submission(self, data: Any) -> tuple[Problem, ...]:
        """Return all that is wrong with a submission, its body and its legal basis; empty: it can be submitted."""
        found = self._submission.problems(data, "")
        if not isinstance(data, Mapping) or any(item.pointer in _NEEDED_FIRST for item in found):
            return found
        try:
            kind = MessageType(data["type"])
            compiled = self._compiled(kind, SchemaVersion(data.get("version", self.newest(kind))))
        except (UnknownType, VersionNotSupported) as error:
            place = "/type" if isinstance(error, UnknownType) else "/version"
            return (*found, Problem(pointer=place, rule=error.code, sentence=error.detail))
        found += compiled.problems(data["body"], "/body")
        if not any(item.pointer.startswith("/legal_basis") for item in found):
            basis = LegalBasis(code=data["legal_basis"]["code"], citation=data["legal_basis"].get("citation"))
            found += _basis_problems(compiled.schema, basis, data["body"])
        unknown = [*unknown_place(compiled.places, data["body"], "/body")]
        if isinstance(data.get("language"), str):
            unknown += unknown_language(data["language"], "/language")
        return found + tuple(Problem(pointer=where, rule="exists", sentence=sentence) for where, sentence in unknown)

    def validate_document(
        self, data: Any, *, kind: MessageType | None = None, version: SchemaVersion | None = None
    ) -> tuple[Problem, ...]:
        """Return all that is wrong with a submission, or with a bare body where its type is given.

        Raises:
            UnknownType, VersionNotSupported: there is no schema for the type given.
        """
        if kind is None:
            return self.explain_submission(data)
        return self.explain(kind, version or self.newest(kind), data)

    # --- looking up -------------------------------------------------------------------------------------------------

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
        named = [table for table in self._bundle.tables.values() if table.procedure == name]
        wanted = [table for table in named if version is None or table.version == version]
        if not wanted:
            raise UnknownType("This node does not know a procedure of that name and version.", where="/type")
        return max(wanted, key=lambda table: table.version.key)

    def tables(self) -> tuple[ProcedureTable, ...]:
        """Return the newest table of each procedure, sorted by name."""
        names = sorted({table.procedure for table in self._bundle.tables.values()})
        return tuple(self.table(name) for name in names)

    def known_tables(self, name: str) -> tuple[ProcedureTable, ...]:
        """Return every known table of a procedure, newest version first; of one version the catalogue's own stands first."""
        known = [table for tables in (self._bundle.tables, self._earlier) for table in tables.values()]
        named = [table for table in known if table.procedure == name]
        return tuple(sorted(named, key=lambda table: table.version.key, reverse=True))

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

    def _compiled(self, kind: MessageType, version: SchemaVersion) -> _Compiled:
        """Compile at the first use: all types at once would cost a second and a hundred megabytes."""
        self._known(kind, version)
        if (kind, version) not in self._bodies:
            self._bodies[kind, version] = _compile(self._bundle, self._bundle.messages[kind, version])
        return self._bodies[kind, version]


def _basis_problems(schema: Mapping[str, Any], basis: LegalBasis, body: Any) -> tuple[Problem, ...]:
    """CASEWORK C-02: the bases that the type may rest on, and what each of them needs.

    That NATIONAL_LAW and AGREEMENT carry a citation is held by the header's schema.
    """
    bases: Mapping[str, Mapping[str, Any]] = schema.get("x-trm-bases", {})
    rule = bases.get(basis.code)
    if rule is None:
        sentence = f"A message of this type rests on one of: {', '.join(bases)}."
        return (Problem(pointer="/legal_basis/code", rule="x-trm-bases", sentence=sentence),)
    found = _exemption_problems(schema, rule, body)
    missing = [name for name in rule.get("requires", ()) if name not in body]
    return found + tuple(
        Problem(
            pointer="/legal_basis/code",
            rule="x-trm-bases",
            sentence=f"This basis needs the member {name} in the body.",
        )
        for name in missing
    )


def _exemption_problems(schema: Mapping[str, Any], rule: Mapping[str, Any], body: Any) -> tuple[Problem, ...]:
    """CASEWORK C-03: what stands in for consent depends on the basis; any other combination is refused (R-32)."""
    known = rule.get("exemptions", ())
    wrong = [
        name
        for name, item in schema.get("properties", {}).items()
        if item.get("x-trm-exemption") and name in body and body[name] not in known
    ]
    sentence = f"On this basis the exemptions are: {', '.join(known) or 'none'}."
    return tuple(Problem(pointer="/legal_basis/code", rule="x-trm-exemption", sentence=sentence) for _ in wrong)


_NEEDED_FIRST = frozenset({"/type", "/version", "/body"})


def _compile(bundle: Bundle, path: str) -> _Compiled:
    schema = self_contained(bundle, path)
    try:
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, ignore_unknown_formats=False)
    except (ValueError, jsonschema_rs.ReferencingError):
        raise CatalogueInvalid("The schema cannot be compiled.", where=path) from None
    places = places_in(bundle.documents, path)
    return _Compiled(schema=MappingProxyType(schema), validator=validator, places=places)
