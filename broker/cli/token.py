# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm token`: access tokens of the node's own issuer."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from broker.cli import output
from broker.cli.input import one_of, parsed
from broker.core.errors import BadRequest
from broker.core.ids import AuthorityId
from broker.settings import Settings
from broker.trust.opening import trust_in_force

__all__ = ["token"]


def token(home: Path, *, role: str, authority: str | None, subject: str, minutes: int, as_json: bool) -> None:
    """Print a token for that role and office.

    Raises:
        BadRequest: no such role or office, or the time is too long for the role.
        NodeError: settings or issuer's key cannot be read, or tokens come from elsewhere.
    """
    from broker.api.local_issuer import LONGEST
    from broker.api.tokens import NODE_ROLES, WHOLE_NODE, Role
    from broker.office import local_issuer

    settings = Settings.load(home)
    if settings.token_issuer is not None:
        raise BadRequest("This node's tokens come from the issuer that its settings name.", where="token_issuer")
    wanted = one_of(Role, role, "--role", what="The role")
    lifetime = timedelta(minutes=minutes)
    if lifetime > LONGEST[wanted]:
        longest = int(LONGEST[wanted].total_seconds() // 60)
        raise BadRequest(f"A token of this role lives {longest} minutes at most.", where="--minutes")
    of_the_node = NODE_ROLES | {Role.SYSTEM}  # a system of no office reads metrics, and nothing else
    office = WHOLE_NODE if authority == WHOLE_NODE and wanted in of_the_node else _office(settings, authority)
    text = local_issuer(settings).issue(subject, wanted, office, lifetime)
    document = {"token": text, "role": wanted, "authority": office, "minutes": minutes}
    output.answer(document, as_json=as_json, people=lambda: print(text, file=sys.stdout))  # bare, for a shell


def _office(settings: Settings, named: str | None) -> AuthorityId:
    """Return the office of ours that the token speaks for; one that is not ours would open nothing, silently."""
    member = trust_in_force(settings).members.get(settings.country)
    ours = tuple(office.id for office in member.authorities) if member else ()
    chosen = parsed(AuthorityId, named, "--authority") if named is not None else settings.default_authority
    if chosen is None and len(ours) == 1:
        return ours[0]
    if chosen is None or chosen not in ours:
        raise BadRequest(
            f"Say for which office: {', '.join(ours) or 'none is in the trust list'}.", where="--authority"
        )
    return chosen
