# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The verified list as it is kept: the signed documents in force, word for word, and what the signed lists said of them.

The value that a node works with is read from these texts each time, by the same readers that judged them: what is kept
for years stays readable by whoever can read the documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from broker.core import canonical
from broker.core.errors import NotCanonical, TrustListInvalid
from broker.core.ids import CountryCode, Digest
from broker.core.profiles import CountryProfile
from broker.core.trust import Member, TrustList
from broker.trust import layout
from broker.trust.arrangement_documents import read_arrangements
from broker.trust.federation_documents import Membership, read_federation
from broker.trust.member_documents import read_member
from broker.trust.profile_documents import read_profile
from broker.trust.strict import Fields, exactly, mapping, time, time_text

__all__ = ["ListDocument", "MemberTexts", "read_list", "read_profile_of", "trust_list_of", "write_list"]

FORMAT = "trm-trust-list/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTexts:
    """What a member's own officers signed; None: nothing yet."""

    document: str | None = None
    profile: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDocument:
    """One verified state of the federation, as texts."""

    version: int  # of the snapshot
    root_version: int
    expires: datetime  # the earliest end of root, targets, snapshot and timestamp
    sources: Mapping[str, int]  # version of each signed list that it was read from
    federation: str
    arrangements: str | None = None
    catalogue: Digest | None = None
    members: Mapping[CountryCode, MemberTexts] = field(default_factory=dict)

    @property
    def standing(self) -> tuple[int, int]:
        """What never goes back: a new root may begin the snapshots anew, to get past ones that a thief numbered high."""
        return self.root_version, self.version


def trust_list_of(document: ListDocument) -> TrustList:
    """Return the value that a node works with.

    Raises:
        TrustListInvalid: a document in it does not have its form.
    """
    federation = read_federation(document.federation.encode("utf-8"), where=layout.FEDERATION)
    return TrustList(
        version=document.version,
        expires=document.expires,
        catalogue=document.catalogue,
        profiles={
            country: read_profile_of(country, texts.profile.encode("utf-8"))
            for country, texts in document.members.items()
            if texts.profile is not None
        },
        arrangements=None
        if document.arrangements is None
        else read_arrangements(document.arrangements.encode("utf-8")),
        members={
            country: _member(country, membership, document.members.get(country, MemberTexts()))
            for country, membership in federation.members.items()
        },
    )


def read_profile_of(country: CountryCode, raw: bytes) -> CountryProfile:
    """Return the profile that a member's officers signed.

    Raises:
        TrustListInvalid: it does not have its form, or is another country's.
    """
    path = layout.profile_path(country)
    profile = read_profile(raw, where=path)
    if profile.country != country:
        raise TrustListInvalid("The profile is another country's.", where=f"{path}: /country")
    return profile


def write_list(document: ListDocument) -> bytes:
    """Return the canonical bytes; `read_list` gives the same value back."""
    return canonical.dump(
        {
            "format": FORMAT,
            "version": document.version,
            "root_version": document.root_version,
            "expires": time_text(document.expires),
            "sources": {str(role): version for role, version in document.sources.items()},
            "federation": document.federation,
            "arrangements": document.arrangements,
            "catalogue": document.catalogue,
            "members": {str(country): _texts(texts) for country, texts in document.members.items()},
        }
    )


def read_list(raw: bytes) -> ListDocument:
    """Return the document of its canonical bytes.

    Raises:
        TrustListInvalid: they are not one.
    """
    try:
        fields = Fields(canonical.parse(raw))
    except NotCanonical:
        raise TrustListInvalid("The stored trust list is damaged.") from None
    fields.take("format", exactly(FORMAT))
    document = ListDocument(
        version=fields.take("version", _whole),
        root_version=fields.take("root_version", _whole),
        expires=fields.take("expires", time),
        sources=fields.take("sources", lambda value: mapping(value, str, _whole)),
        federation=fields.take("federation", str),
        arrangements=fields.take("arrangements", _text),
        catalogue=fields.take("catalogue", lambda value: None if value is None else Digest(value)),
        members=fields.take("members", lambda value: mapping(value, CountryCode, _member_texts)),
    )
    fields.finish()
    return document


def _member(country: CountryCode, membership: Membership, texts: MemberTexts) -> Member:
    if texts.document is None:
        member = Member(country=country)
    else:
        member = read_member(texts.document.encode("utf-8"), country, where=layout.member_path(country))
    return replace(
        member,
        status=membership.status,
        kind=membership.kind,
        expires=texts.expires,
    )


def _texts(texts: MemberTexts) -> dict[str, str | None]:
    return {
        "document": texts.document,
        "profile": texts.profile,
        "expires": None if texts.expires is None else time_text(texts.expires),
    }


def _member_texts(value: Any) -> MemberTexts:
    fields = Fields(value)
    texts = MemberTexts(
        document=fields.take("document", _text),
        profile=fields.take("profile", _text),
        expires=fields.take("expires", lambda item: None if item is None else time(item)),
    )
    fields.finish()
    return texts


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**53:
        raise ValueError("not a version")
    return value
