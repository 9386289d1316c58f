# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A complete small federation on this machine, for tests, demonstration and measuring: never for real casework.

Its vaults are cheap to guess and their passphrases lie beside them.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from broker.core.ids import AuthorityId, CountryCode, MessageType, SchemaVersion
from broker.core.trust import Authority, Member, TrustList
from broker.durable import write_durably
from broker.home import create_home
from broker.settings import FILE_NAME
from broker.testing.trust import TrustOffice
from broker.trust.client import TrustClient
from broker.trust.fetching import FolderSource
from broker.trust.repository import Repository
from broker.vault import UNSAFE_DEV_KDF, KdfParameters

__all__ = ["DEV_PASSPHRASE_FILE", "OFFICES", "Federation", "make_federation"]

DEV_PASSPHRASE_FILE = "passphrase"  # noqa: S105  a file name; it lies beside what it opens: demonstration only
_TRUST, _SPOOL = "trust", "spool"  # folders of the federation's own
_BACK = timedelta(hours=1)  # keys are valid a little before they are made: the nodes' clocks differ


def _office(name: str, title: str, *languages: str) -> Authority:
    return Authority(id=AuthorityId(name), name=title, languages=languages)


OFFICES: Mapping[str, tuple[Authority, ...]] = {
    "EE": (
        _office("social-insurance-board", "Sotsiaalkindlustusamet", "et", "en"),
        _office("ministry-of-justice", "Justiits- ja Digiministeerium", "et", "en"),
    ),
    "FI": (
        _office("helsinki-wellbeing-services", "Helsingin sosiaali-, terveys- ja pelastustoimiala", "fi", "sv", "en"),
        _office("national-assistance-system", "Ihmiskaupan uhrien auttamisjärjestelmä", "fi", "sv", "en"),
        _office("ministry-of-justice", "Oikeusministeriö", "fi", "sv", "en"),
    ),
    "SE": (_office("gender-equality-agency", "Jämställdhetsmyndigheten", "sv", "en"),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """Where everything of it stands."""

    folder: Path
    homes: Mapping[CountryCode, Path]
    trust: TrustList
    spool_folder: Path
    office: TrustOffice  # everybody who signs the trust list

    def copied(self, folder: Path) -> Federation:
        """Return the same federation in another folder, with the same keys and signatures: founding one takes longer."""
        here, there = str(self.folder), str(folder.absolute())
        shutil.copytree(self.folder, there, dirs_exist_ok=True)
        homes = {country: Path(there, country) for country in self.homes}
        for home in homes.values():
            file = home / FILE_NAME
            file.write_text(file.read_text("utf-8").replace(here, there), "utf-8")
        office = replace(self.office, repository=Repository(Path(there, _TRUST)), members={**self.office.members})
        return replace(self, folder=Path(there), homes=homes, spool_folder=Path(there, _SPOOL), office=office)


def make_federation(
    folder: Path,
    countries: Sequence[str] = ("EE", "FI", "SE"),
    *,
    messages: Mapping[MessageType, tuple[SchemaVersion, ...]],
    procedures: Mapping[str, tuple[SchemaVersion, ...]] = MappingProxyType({}),
    now: datetime,
    transport: Literal["spool", "rabbitmq"] = "spool",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    filedrop: Mapping[str, Iterable[str]] | None = None,
    kdf: KdfParameters = UNSAFE_DEV_KDF,
) -> Federation:
    """Make a home folder per country, with one signed trust list that names them all.

    Args:
        folder: where the homes go, each under its country's name.
        countries: the members; those that `OFFICES` does not know get one office, ``child-protection``.
        messages: the versions of each message type that every member takes, as the catalogue lists them.
        procedures: likewise those of the procedures; empty says nothing about them.
        now: the keys are valid from an hour before; the trust list's signatures hold from today, whatever it is.
        transport: for ``rabbitmq`` the settings of each country give ``amqp_url``.
        settings: further settings by country.
        filedrop: by country the offices that its file-drop adapter serves, from ``<home>/filedrop``.
        kdf: cost of the vaults' passphrases.

    Raises:
        BrokerError: as `create_home` does.
    """
    homes: dict[CountryCode, Path] = {}
    members = []
    for country in map(CountryCode, countries):
        home = folder.absolute() / country
        passphrase = secrets.token_urlsafe(24).encode("ascii")
        offices = OFFICES.get(country) or (_office("child-protection", f"Child protection {country}", "en"),)
        stated = _stated(folder, home, transport, tuple((filedrop or {}).get(country, ())))
        member = create_home(
            home, country,
            passphrase=passphrase, now=now - _BACK, authorities=offices, messages=messages, procedures=procedures,
            settings={**stated, **(settings or {}).get(country, {})}, kdf=kdf,
        )  # fmt: skip
        write_durably(home / DEV_PASSPHRASE_FILE, passphrase)
        homes[country] = home
        members.append(member)
    office = _published(folder.absolute() / _TRUST, members)
    for home in homes.values():
        write_durably(home / "trust" / "root.json", office.root, mode=0o644)
    return Federation(
        folder=folder.absolute(),
        homes=homes,
        trust=TrustClient(FolderSource(office.folder), office.root).fetch().trust,
        spool_folder=folder.absolute() / _SPOOL,
        office=office,
    )


def _published(folder: Path, members: Iterable[Member]) -> TrustOffice:
    today = datetime.now(UTC)
    office = TrustOffice.create(folder, now=today)
    for member in members:
        office.add(member, now=today)
    office.publish(now=today)
    return office


def _stated(folder: Path, home: Path, transport: str, filedrop: tuple[str, ...]) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "transport": transport,
        "passphrase_file": DEV_PASSPHRASE_FILE,
        "api_port": 0,
        "trust": {"source": str(folder.absolute() / _TRUST)},
    }
    if transport == "spool":
        spool = folder.absolute() / _SPOOL
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        stated["spool_folder"] = str(spool)
    if filedrop:
        drop = home / "filedrop"
        drop.mkdir(mode=0o700, parents=True, exist_ok=True)
        stated["adapters"] = {"filedrop": {"authorities": list(filedrop), "folder": str(drop)}}
    return stated
