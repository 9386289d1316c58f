# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What of a folder's published part can be believed: a folder comes on a stick, and anybody may have written on it.

A change is shown against what was signed before. Were that taken unseen, whoever carries the folder could put a country
of his own into both, and officers would sign for it without having been shown it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuf.api.metadata import Root, Targets

from broker.trust import layout
from broker.trust.folder import Signed, TrustFolder

__all__ = ["believed", "believed_roots", "follows", "verified_by"]


def verified_by(delegator: Root | Targets, role: str, metadata: Signed) -> bool:
    """Whether enough of the officers that this delegator names for a role have signed this version."""
    try:
        return delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures).verified
    except ValueError:  # nobody is named for that role
        return False


def believed_roots(folder: TrustFolder) -> tuple[Signed, ...]:
    """Return the published roots from the first on, as far as each is signed by its own officers and those before."""
    chain: list[Signed] = []
    while (root := folder.published_root(len(chain) + 1)) is not None and follows(chain, root):
        chain.append(root)
    return tuple(chain)


def follows(chain: Sequence[Signed], root: Signed) -> bool:
    """Whether a root is the next one: enough of its own officers, and enough of the previous ones, have signed it."""
    if not isinstance(root.signed, Root) or root.signed.version != len(chain) + 1:
        return False
    previous = chain[-1].signed if chain else None
    return bool(root.signed.get_root_verification_result(previous, root.signed_bytes, root.signatures).verified)


def believed(folder: TrustFolder, role: str) -> Signed | None:
    """Return the published version of root, targets or a member's role; None where its officers did not sign it."""
    if role == layout.ROOT:
        return (believed_roots(folder) or (None,))[-1]
    delegator, metadata = believed(folder, _delegator(role)), folder.published(role)
    if delegator is None or metadata is None or not verified_by(delegator.signed, role, metadata):
        return None
    return metadata


def _delegator(role: str) -> str:
    return layout.ROOT if role == layout.TARGETS else layout.TARGETS
