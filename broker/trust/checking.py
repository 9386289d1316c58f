# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a node would take a document: judged before it is put before officers, and again before they sign.

A node takes any document that a member's officers signed. That they take no revocation back by mistake is seen to here: a
stolen key would be good again, by a file that was written before the theft.
"""

from __future__ import annotations

from broker.core.authority_keys import keeping_revocations
from broker.core.errors import CeremonyRefused
from broker.core.ids import CountryCode
from broker.trust import layout
from broker.trust.arrangement_documents import read_arrangements
from broker.trust.catalogue_documents import load_bundle
from broker.trust.federation_documents import read_federation
from broker.trust.list_documents import read_profile_of
from broker.trust.member_documents import read_member

__all__ = ["check_document", "check_revocations"]


def check_document(path: str, raw: bytes) -> None:
    """Refuse a document that a node would refuse.

    Raises:
        TrustListInvalid: it does not have its form.
    """
    if path == layout.FEDERATION:
        read_federation(raw)
    elif path == layout.CATALOGUE:
        load_bundle(raw)
    elif path == layout.ARRANGEMENTS:
        read_arrangements(raw)
    elif path.endswith("/profile.json"):
        read_profile_of(CountryCode(layout.owner_of(path)), raw)
    else:
        read_member(raw, CountryCode(layout.owner_of(path)), where=path)


def check_revocations(path: str, published: bytes | None, raw: bytes) -> None:
    """Refuse a member's document that lists a key as good which the published one has revoked.

    Raises:
        CeremonyRefused: it does; ``where`` is the country.
        TrustListInvalid: a document does not have its form.
    """
    role = layout.owner_of(path)
    if published is None or role == layout.TARGETS or path != layout.member_path(country := CountryCode(role)):
        return
    member, before = (read_member(found, country, where=path) for found in (raw, published))
    if keeping_revocations(member, before) != member:
        raise CeremonyRefused("The document takes the revocation of a key back.", where=country)
