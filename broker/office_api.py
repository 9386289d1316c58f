# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that a program of an office may import: sealing and opening what no node may read.

It runs where the office works, never inside a node: an office's vault opens here, and no node opens one. ``trm seal``,
``trm open`` and ``trm attachment seal`` and ``unseal`` are made of it, and so is a national system that seals by itself::

    trust, catalogue = federation("https://trust.example", root)
    sealed = seal_submission(data, country=CountryCode("EE"), trust=trust, catalogue=catalogue, now=now)
    ...                                  # sealed.data goes to the node: POST /api/v1/messages, out/ of the file drop
    vault = AuthorityVault.open(path, PassphraseWrapper(passphrase))
    around, body = surroundings_of(message)           # as the node gave it
    opened = open_parts(around, body, opener=vault.opener(), catalogue=catalogue)
    if opened.faults:
        ask = clarification(...)                      # a submission that asks the sender to seal anew

Rules
- *Seal once.* Keep what was sealed until the node has said yes: sealed anew, it is another message to an idempotency key.
- *A faulty part is not worked with.* Ask its sender (`clarification`); nothing else of the message is in doubt for that.
- *What is opened stays in the office.* It is personal data of the most sensitive kind: no logs, no mail, no node.
"""

from __future__ import annotations

from broker.catalogue import Catalogue
from broker.core.trust import TrustList
from broker.schema_files import load_catalogue
from broker.sealed.clarifying import clarification
from broker.sealed.files import open_file, seal_file
from broker.sealed.opening import Fault, OpenedMessage, Surroundings, open_parts, surroundings_of
from broker.sealed.sealing import SealedSubmission, key_of_office, seal_submission
from broker.vault import PassphraseWrapper
from broker.vault.authority import AuthorityVault

__all__ = [
    "AuthorityVault", "Fault", "OpenedMessage", "PassphraseWrapper", "SealedSubmission", "Surroundings", "clarification",
    "federation", "key_of_office", "open_file", "open_parts", "seal_file", "seal_submission", "surroundings_of",
]  # fmt: skip


def federation(source: str, root: bytes) -> tuple[TrustList, Catalogue]:
    """Return the federation's trust list and message catalogue, verified from the pinned root; blocks on the network.

    Raises:
        TrustListInvalid: the list or the catalogue that it names cannot be believed.
        SettingsInvalid: the source is no place to fetch from.
    """
    from broker.trust.catalogue_documents import load_bundle
    from broker.trust.client import TrustClient
    from broker.trust.fetching import source_of

    fetched = TrustClient(source_of(source), root).fetch()
    bundle = fetched.catalogue
    return fetched.trust, load_catalogue(None) if bundle is None else load_bundle(bundle)
