# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Making a node's home folder: keys and vault, settings, the public document for the federation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from broker.core.errors import HomeInvalid, TrustListInvalid
from broker.core.ids import CountryCode, MessageType, SchemaVersion
from broker.core.trust import LONGEST_ENVELOPE_LIFE, Authority, KeyUse, Member, MemberKey
from broker.durable import not_written, write_durably
from broker.ownership import check_owner
from broker.security import jwk
from broker.settings import FILE_NAME, Settings
from broker.trust.member_documents import read_member, write_member
from broker.vault import FileVault, KdfParameters, PrivateKey

__all__ = [
    "MEMBER_FILE",
    "create_home",
    "generate_keys",
    "member_of",
    "new_key",
    "read_own_member",
    "write_own_member",
    "write_toml",
]

MEMBER_FILE = "member.json"  # public: what this node asks the federation's officers to list
_SIGN_DAYS = 365
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def new_key(use: KeyUse) -> PrivateKey:
    """Return a new key."""
    return PrivateKey(use=use, seed=jwk.generate(use)[0])


def generate_keys() -> tuple[PrivateKey, ...]:
    """Return one new key of each use."""
    return tuple(new_key(use) for use in KeyUse)


def member_of(
    country: CountryCode,
    keys: Iterable[PrivateKey],
    *,
    now: datetime,
    authorities: Iterable[Authority],
    messages: Mapping[MessageType, tuple[SchemaVersion, ...]],
    procedures: Mapping[str, tuple[SchemaVersion, ...]] = MappingProxyType({}),
) -> Member:
    """Return the entry that lists these keys from now on, in whole seconds as the trust list writes them."""
    start = now.replace(microsecond=0)
    sign_until = start + timedelta(days=_SIGN_DAYS)
    listed = tuple(
        MemberKey(
            kid=jwk.thumbprint(key.use, key.public),
            use=key.use,
            public=key.public,
            not_before=start,
            sign_until=sign_until,
            accept_until=sign_until + LONGEST_ENVELOPE_LIFE,
        )
        for key in keys
    )
    return Member(
        country=country,
        keys=listed,
        authorities=tuple(authorities),
        messages=dict(messages),
        procedures=dict(procedures),
    )


_HALF_MADE = (
    "There is a vault, and no settings: making this home was interrupted, or they were lost. "
    "Remove the folder only if its node was never listed; else put its settings.toml back."
)


def create_home(
    home: Path,
    country: CountryCode,
    *,
    passphrase: bytes,
    now: datetime,
    authorities: Iterable[Authority],
    messages: Mapping[MessageType, tuple[SchemaVersion, ...]],
    procedures: Mapping[str, tuple[SchemaVersion, ...]] = MappingProxyType({}),
    settings: Mapping[str, Any],
    kdf: KdfParameters | None = None,
    also: Callable[[], object] | None = None,
) -> Member:
    """Make the folder with new keys in a vault, the settings and the public document; return the member's entry.

    The settings file is written last: a home folder that has one is complete. The federation's root still has to be put there.

    Args:
        also: makes what else belongs into this home, before its settings are written.

    Raises:
        HomeInvalid: there is a node in the folder already, it is another account's, or it cannot be written.
        SettingsInvalid: the settings say something impossible; nothing was written.
        VaultLocked: the passphrase is empty.
        DiskFull: no room.
    """
    home = home.absolute()
    stated = {"country": str(country), **settings}
    checked = Settings.checked(home, stated)
    if checked.file.exists():
        raise HomeInvalid("There is a node in this folder already.", where=str(checked.file))
    if checked.vault_file.exists():
        raise HomeInvalid(_HALF_MADE, where=str(checked.vault_file))
    keys = generate_keys()
    member = member_of(country, keys, now=now, authorities=authorities, messages=messages, procedures=procedures)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_owner(home)
        checked.trust_root_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        FileVault.create(checked.vault_file, passphrase, keys, us=country, kdf=kdf, created=now)
        write_own_member(home, member)
        if also is not None:
            also()
        write_durably(home / FILE_NAME, write_toml(stated).encode("utf-8"))
    except OSError as error:
        raise not_written(error, home, "The folder cannot be written") from None
    return member


def read_own_member(home: Path, country: CountryCode) -> Member:
    """Return the home's public document.

    Raises:
        HomeInvalid: there is none, or it is not this country's document.
    """
    file = home / MEMBER_FILE
    try:
        return read_member(file.read_bytes(), country, where=str(file))
    except OSError as error:
        raise HomeInvalid(f"The public document cannot be read ({type(error).__name__}).", where=str(file)) from None
    except TrustListInvalid as error:
        raise HomeInvalid(error.detail, where=error.where) from None


def write_own_member(home: Path, member: Member) -> None:
    """Write the home's public document, durably.

    Raises:
        HomeInvalid: the file cannot be written; the old one is as it was.
        DiskFull: no room.
    """
    try:
        write_durably(home / MEMBER_FILE, write_member(member), mode=0o644)
    except OSError as error:
        raise not_written(error, home, "The folder cannot be written") from None


def write_toml(stated: Mapping[str, Any], prefix: str = "") -> str:
    """Return TOML of texts, numbers, booleans, lists and tables; plain values before tables."""
    plain = {name: value for name, value in stated.items() if not isinstance(value, Mapping)}
    lines = [f"{_toml_key(name)} = {_toml_value(value)}\n" for name, value in plain.items() if value is not None]
    for name, value in stated.items():
        if isinstance(value, Mapping):
            path = f"{prefix}{_toml_key(name)}"
            inside = write_toml(value, f"{path}.")
            lines.append(inside if inside.startswith("\n[") else f"\n[{path}]\n{inside}")
    return "".join(lines)


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml_text(name)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    return _toml_text(str(value))


def _toml_text(text: str) -> str:
    """Return a basic string; JSON escapes all that TOML must, except the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
