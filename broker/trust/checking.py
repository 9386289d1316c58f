# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a node would take a document: judged before it is put before officers, and again before they sign."""

from __future__ import annotations

from broker.core.ids import CountryCode
from broker.trust import layout
from broker.trust.arrangement_documents import read_arrangements
from broker.trust.catalogue_documents import load_bundle
from broker.trust.federation_documents import read_federation
from broker.trust.list_documents import read_profile_of
from broker.trust.member_documents import read_member

__all__ = ["check_document"]


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
