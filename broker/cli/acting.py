# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who acts at the command line, for which office, over which home's store."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from broker.cli.input import parsed
from broker.core.audit import Who
from broker.core.errors import BadRequest, StoreCorrupt, StoreUnavailable
from broker.core.ids import AuthorityId
from broker.core.roles import AuditRole
from broker.settings import Settings

if TYPE_CHECKING:
    from broker.office import Office

__all__ = ["ROUTE", "doubt", "office_of", "operator", "with_office"]

T = TypeVar("T")

ROUTE = "cli"  # part of an idempotency key's scope


def operator(authority: AuthorityId | None = None) -> Who:
    """Return who is at this keyboard, as the audit trail names him: whoever became the node's account by sudo."""
    return Who(
        actor=f"{ROUTE}:{os.environ.get('SUDO_USER') or _account()}",
        role=AuditRole.OPERATOR,
        authority=authority,
    )


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # one without a name, as a container may run us by; Python 3.13 says it by the latter
        return str(os.getuid())


def office_of(office: Office, named: str | None) -> AuthorityId:
    """Return the office that the command acts for: named, set, or the only one of this country.

    Raises:
        BadRequest: several are possible, or the text is not an office.
    """
    chosen = parsed(AuthorityId, named, "--authority") if named is not None else office.settings.default_authority
    if chosen is not None:
        doubt(office, chosen)
        return chosen
    ours = _ours(office)
    if len(ours) != 1:
        names = ", ".join(ours) or "none is in the trust list"
        raise BadRequest(f"Say for which office you act: {names}.", where="--authority")
    return ours[0]


def doubt(office: Office, chosen: AuthorityId) -> None:
    """Say of an office that is not in the trust list that it is not: mistyped, its empty lists would look like calm.

    One that was left out of the list is no error: its casework is still here, and somebody ends it.
    """
    ours = _ours(office)
    if ours and chosen not in ours:
        sys.stderr.write(f"trm: The trust list has no office {chosen} of {office.us}; it has: {', '.join(ours)}.\n")


def _ours(office: Office) -> tuple[AuthorityId, ...]:
    member = office.trust.current().members.get(office.us)
    return tuple(item.id for item in member.authorities) if member else ()


def with_office(home: Path, work: Callable[[Office], Awaitable[T]], *, without_vault: bool = False) -> T:
    """Do something at a home's office and close it.

    Args:
        home: the node's home folder.
        work: what is done.
        without_vault: it needs no content and no signature: nobody is asked for the passphrase.

    Raises:
        NodeError: the home or its store cannot be used.
    """

    async def run() -> T:
        from broker.office import open_office
        from broker.storage import shown
        from broker.vault import open_vault

        settings = Settings.load(home)
        office = open_office(settings, None if without_vault else open_vault(settings))
        try:
            return await work(office)
        except (StoreCorrupt, StoreUnavailable) as error:
            error.where = error.where or shown(settings.store_url)
            raise
        finally:
            await office.close()

    return asyncio.run(run())
