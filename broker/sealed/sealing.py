# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealing a submission at the sending office: what its schema marks is checked, then encrypted to the receiving office.

A second submission with the same parts sealed to the sending office itself can be kept: whoever wrote something must be
able to show later what it was (GDPR 15), and neither node can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.errors import AuthorityKeyMissing, BadRequest, SchemaInvalid, UnknownRecipient, VersionNotSupported
from broker.core.ids import CountryCode, SchemaVersion
from broker.core.messages import Party, Submission
from broker.core.rotation import PublicKey
from broker.core.sealed_parts import PartPlace, is_sealed_part, put, rest_digest, value_at
from broker.core.trust import KeyUse, TrustList
from broker.security.nested import PART_LENGTHS, NestedKind, seal_to_office

__all__ = ["SealedSubmission", "key_of_office", "seal_submission"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSubmission:
    """A submission that a node may see."""

    data: Mapping[str, Any]  # as a caller hands it in
    places: tuple[str, ...]  # of what was sealed, from the body
    copy: Mapping[str, Any] | None  # the same with the parts sealed to the sending office; None: no key was given


def seal_submission(
    data: Any,
    *,
    country: CountryCode,
    trust: TrustList,
    catalogue: Catalogue,
    now: datetime,
    own: PublicKey | None = None,
) -> SealedSubmission:
    """Return a submission whose marked parts are sealed.

    Args:
        data: the submission, in clear, as JSON.
        country: of the sending office.
        trust: the list that says which key is the receiving office's.
        catalogue: the schemas.
        now: the current time.
        own: the sending office's own public key, for a copy that it can open.

    Raises:
        SchemaInvalid, BadRequest: something does not fit, in clear or inside a part; the place is told, never the value.
        UnknownRecipient, AuthorityKeyMissing: nothing can be sealed to that office.
        VersionNotSupported: the receiving country takes no version that is known here.
        TooLargeToSend: a part is larger than any may be.
    """
    normal, asked = catalogue.read_submission(data)
    version = _version(asked, trust, catalogue)
    normal = {**normal, "version": str(version)}
    body = normal["body"]
    schemas = dict(catalogue.sealed_schemas(asked.type, version, body))
    for place, schema in schemas.items():
        inside = value_at(body, place)
        if is_sealed_part(inside):
            raise BadRequest("This part is sealed already; seal what is still in clear.", where=f"/body{place}")
        problems = catalogue.explain_part(schema, inside, f"/body{place}", leaving=True)
        if problems:
            raise SchemaInvalid(problems[0].sentence, where=problems[0].pointer)
    sender = Party(country=country, authority=asked.sender_authority)
    sealed = _sealed(normal, asked, version, sender, schemas, key_of_office(trust, asked.recipient, now))
    problems = catalogue.explain_submission(sealed)
    if problems:
        raise SchemaInvalid(problems[0].sentence, where=problems[0].pointer)
    copy = None if own is None else _sealed(normal, asked, version, sender, schemas, own)
    return SealedSubmission(data=sealed, places=tuple(schemas), copy=copy)


def key_of_office(trust: TrustList, office: Party, now: datetime) -> PublicKey:
    """Return the key that something for that office is sealed to now.

    Raises:
        UnknownRecipient: the list names no such office.
        AuthorityKeyMissing: it has no key that may be used now.
    """
    member = trust.members.get(office.country)
    listed = None if member is None else member.authority(office.authority)
    if listed is None:
        raise UnknownRecipient(where="/recipient")
    key = listed.key_for_sealing(now)
    if key is None:
        raise AuthorityKeyMissing(where="/recipient/authority")
    return PublicKey(kid=key.kid, use=KeyUse.HPKE, public=key.public)


def _version(asked: Submission, trust: TrustList, catalogue: Catalogue) -> SchemaVersion:
    """Return the version asked for, or the newest that both sides know: by another one the place would be another."""
    member = trust.members.get(asked.recipient.country)
    listed = () if member is None else member.messages.get(asked.type, ())
    known = [version for version in catalogue.versions(asked.type) if version in listed]
    if asked.version is not None:
        return asked.version
    if not known:
        raise VersionNotSupported(
            "The receiving country lists no version of this type that is known here.", where="/type"
        )
    return known[-1]


def _sealed(
    normal: Mapping[str, Any],
    asked: Submission,
    version: SchemaVersion,
    sender: Party,
    schemas: Mapping[str, str],
    key: PublicKey,
) -> dict[str, Any]:
    """Return the submission with what stands in those places sealed to that key."""
    body = normal["body"]
    rest = rest_digest(body, schemas)
    for place in schemas:
        belongs = PartPlace(
            sender=sender,
            recipient=asked.recipient,
            type=asked.type,
            version=version,
            procedure=asked.procedure,
            exercise=asked.exercise,
            rest=rest,
            place=place,
        )
        jwe = seal_to_office(
            canonical.dump(value_at(normal["body"], place)),
            kind=NestedKind.PART,
            kid=key.kid,
            public=key.public,
            profile=belongs.to_json(),
            lengths=PART_LENGTHS,
        )
        body = put(body, place, {"jwe": jwe, "kid": str(key.kid)})
    return {**normal, "body": body}
