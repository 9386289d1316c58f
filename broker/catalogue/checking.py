# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue: holds a message against header schema, body schema and the legal bases of its type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from broker.catalogue.bundle import (
    HEADER,
    SUBMISSION,
    Bundle,
    read_bundle,
    read_tables,
)
from broker.catalogue.compiled import CompiledSchema
from broker.catalogue.contents import Contents
from broker.catalogue.explaining import Problem
from broker.catalogue.people import People, corrected_in, people_in, spoken_of
from broker.catalogue.places import unknown_language
from broker.catalogue.sealed_places import sealed_places
from broker.catalogue.submissions import normalised, to_submission
from broker.core.attachments import check_attachments
from broker.core.content import decode_header, encode_header
from broker.core.corrected import is_correction
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


class Catalogue(Contents):
    """Message schemas, code lists and procedure tables of one bundle. Built by `from_files`."""

    def __init__(self, bundle: Bundle, earlier: Mapping[Digest, ProcedureTable] = MappingProxyType({})) -> None:
        """Args:
        bundle, earlier: as `Contents`.
        """
        super().__init__(bundle, earlier)
        self._header = CompiledSchema.of(bundle, HEADER)
        self._submission = CompiledSchema.of(bundle, SUBMISSION)
        self._bodies: dict[tuple[MessageType, SchemaVersion], CompiledSchema] = {}  # a node meets few of all types
        self._parts: dict[str, CompiledSchema] = {}  # of what is sealed: nodes never need one
        self._people: dict[tuple[MessageType, SchemaVersion], People | None] = {}  # made when first asked for

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
            found = compiled.basis_problems(header.legal_basis, body)
            if found:
                raise BasisNotAllowed(found[0].sentence, where=f"/header{found[0].pointer}")

    def _check_places(self, header: Header, body: Any) -> None:
        """Refuse a country, language or day that does not exist: nobody could be found, read it, or be waited for."""
        if header.language is not None:
            for where, sentence in unknown_language(header.language, "/header/language"):
                raise HeaderInvalid(sentence, where=where)
        for problem in self._compiled(header.type, header.version).unknown_places(body, "/body"):
            raise SchemaInvalid(problem.sentence, where=problem.pointer)

    def people(self, header: Header, body: Body) -> tuple[Person, ...]:
        """Return everyone whom a message speaks of by name or birth; of a type that is not here, nobody."""
        kind = header.type, header.version
        if kind not in self._bundle.messages:
            return ()
        if kind not in self._people:
            self._people[kind] = people_in(self._bundle.documents, self._bundle.messages[kind])
        corrected = corrected_in(body) if is_correction(header.type) else ()
        return (*spoken_of(self._people[kind], body), *corrected)

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
            self._parts[path] = CompiledSchema.of(self._bundle, path)
        compiled = self._parts[path]
        return compiled.problems(inside, where) or (compiled.unknown_places(inside, where) if leaving else ())

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
            found += compiled.basis_problems(basis, data["body"])
        found += compiled.unknown_places(data["body"], "/body")
        language = data.get("language")
        if not isinstance(language, str):
            return found
        unknown = unknown_language(language, "/language")
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

    def _compiled(self, kind: MessageType, version: SchemaVersion) -> CompiledSchema:
        """Compile at the first use: all types at once would cost a second and a hundred megabytes."""
        self._known(kind, version)
        if (kind, version) not in self._bodies:
            self._bodies[kind, version] = CompiledSchema.of(self._bundle, self._bundle.messages[kind, version])
        return self._bodies[kind, version]


_NEEDED_FIRST = frozenset({"/type", "/version", "/body"})
