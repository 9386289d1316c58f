# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A country's request to join: who its officers are, and its documents as they signed them, in one file.

The federation's officers believe nothing in it because it says so: they compare its fingerprint, word by word, with
what the country's officers read to them over a telephone number that they already had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, TargetFile, Targets

from broker.core import canonical
from broker.core.errors import CeremonyRefused, TrustListInvalid
from broker.core.ids import CountryCode
from broker.trust import layout
from broker.trust.believing import verified_by
from broker.trust.checking import check_document
from broker.trust.officer_keys import Officer, OfficerKey, read_officer, tuf_key, write_officer
from broker.trust.repository import Repository
from broker.trust.signers import Signers
from broker.trust.strict import Fields, each, exactly, mapping, placed, read_json, write_json

__all__ = ["FORMAT", "JoiningRequest", "admit", "prepare_joining", "read_joining", "write_joining"]

FORMAT = "trm-joining/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoiningRequest:
    """What a country hands to the federation's officers."""

    country: CountryCode
    signers: Signers
    documents: Mapping[str, bytes]  # by path in the trust list
    signed: bytes  # the country's list, as TUF metadata with its officers' signatures


def prepare_joining(
    country: CountryCode,
    signers: Signers,
    keys: Iterable[OfficerKey],
    documents: Mapping[str, bytes],
    *,
    version: int = 1,
    now: datetime,
) -> JoiningRequest:
    """Return the request with the country's first list, signed by the keys that are given.

    Args:
        country: who wants to join.
        signers: its officers, and how many of them must sign.
        keys: of enough of these officers.
        documents: the member's document, and its profile if there is one, by path.
        version: of the list; more than 1 where the country was a member before.
        now: the lifetime begins.

    Raises:
        CeremonyRefused: a key is not one of these officers', or too few have signed.
    """
    officers = {officer.keyid for officer in signers.officers}
    targets = {path: TargetFile.from_data(path, raw, ["sha256"]) for path, raw in documents.items()}
    expires = now.replace(microsecond=0) + layout.lifetime(str(country))
    metadata = Metadata(Targets(version=version, expires=expires, targets=targets))
    for key in keys:
        if key.officer.keyid not in officers:
            raise CeremonyRefused("This key is not one of the country's officers'.", where=key.officer.label)
        metadata.sign(key.signer, append=True)
    if len(metadata.signatures) < signers.threshold:
        raise CeremonyRefused(f"{signers.threshold} of the country's officers must sign; too few did.", where=country)
    return JoiningRequest(country=country, signers=signers, documents=dict(documents), signed=metadata.to_bytes())


def write_joining(request: JoiningRequest) -> bytes:
    """Return the request as a file's bytes."""
    return write_json(
        {
            "format": FORMAT,
            "country": str(request.country),
            "officers": [read_json(write_officer(officer), where="officer") for officer in request.signers.officers],
            "threshold": request.signers.threshold,
            "documents": {path: canonical.b64url_encode(raw) for path, raw in request.documents.items()},
            "signed": canonical.b64url_encode(request.signed),
        }
    )


def read_joining(raw: bytes, *, where: str) -> JoiningRequest:
    """Return the request of a file's bytes.

    Raises:
        TrustListInvalid: it is not one; ``where`` names file and place.
    """
    return placed(f"{where}: ", _request, read_json(raw, where=where))


def admit(repository: Repository, request: JoiningRequest, *, now: datetime) -> None:
    """Stage a joining country: its delegation for the federation's officers to sign, and its own list as it signed it.

    Raises:
        CeremonyRefused: the country is a member already, or its officers did not sign what the request holds.
        TrustListInvalid: a document does not have its form.
    """
    if request.country in repository.federation().members:
        raise CeremonyRefused("The country is a member already.", where=request.country)
    metadata = _metadata(request.signed)
    if not verified_by(_own_delegator(request), str(request.country), metadata):  # before anything is staged
        raise CeremonyRefused("Not enough of the country's officers have signed the request.", where=request.country)
    for path, raw in request.documents.items():
        if metadata.signed.targets.get(path) != TargetFile.from_data(path, raw, ["sha256"]):
            raise CeremonyRefused("The document is not the one that was signed.", where=path)
        check_document(path, raw)
    if set(metadata.signed.targets) != set(request.documents):
        raise CeremonyRefused("A document that was signed is missing.", where=request.country)
    repository.check_first(request.country, metadata)  # before anything is staged
    repository.set_member(request.country, request.signers, now=now)
    repository.take_signed(request.country, metadata, request.documents)


def _own_delegator(request: JoiningRequest) -> Targets:
    """Return who would count by the request's own word."""
    keys = {officer.keyid: tuf_key(officer) for officer in request.signers.officers}
    role = DelegatedRole(
        str(request.country), list(keys), request.signers.threshold, terminating=True, paths=list(request.documents)
    )
    return Targets(delegations=Delegations(keys, {str(request.country): role}))


def _metadata(raw: bytes) -> Metadata[Targets]:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(raw)
    except RepositoryError:
        raise CeremonyRefused("The country's signed list is damaged.") from None
    if not isinstance(metadata.signed, Targets):
        raise CeremonyRefused("The request holds another kind of list.")
    return metadata


def _request(data: Any) -> JoiningRequest:
    fields = Fields(data)
    fields.take("format", exactly(FORMAT))
    country = fields.take("country", CountryCode)
    officers = fields.take("officers", lambda value: each(value, _officer))
    threshold = fields.take("threshold", _count)
    documents = fields.take("documents", lambda value: mapping(value, _path, _bytes))
    signed = fields.take("signed", _bytes)
    fields.finish()
    if not {layout.member_path(country)} <= set(documents) <= set(layout.member_paths(country)):
        raise TrustListInvalid("The documents are not the country's own.", where="/documents")
    if any(officer.country != country for officer in officers):
        raise TrustListInvalid("An officer is another country's.", where="/officers")
    return JoiningRequest(
        country=country, signers=Signers(officers=officers, threshold=threshold), documents=documents, signed=signed
    )


def _officer(value: Any) -> Officer:
    return read_officer(write_json(value), where="officer")


def _path(value: Any) -> str:
    layout.owner_of(value)
    return str(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return canonical.b64url_decode(value)


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("not a number of officers")
    return value
