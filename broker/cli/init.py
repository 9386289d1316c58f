# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm init`: make a home folder for one country's node."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.cli import output
from broker.cli.input import office_id, parsed
from broker.cli.new_passphrase import new_passphrase
from broker.core.errors import BadRequest, HomeInvalid
from broker.core.ids import CountryCode
from broker.core.trust import Authority, Member
from broker.durable import write_durably
from broker.home import MEMBER_FILE, create_home
from broker.schema_files import load_catalogue
from broker.settings import FILE_NAME, TOKEN_KEY_FILE
from broker.system import SystemClock
from broker.transport.spool import create
from broker.trust.member_documents import encode_member

__all__ = ["init"]

_PASSPHRASE_BYTES = 24  # random; more than anyone can guess


def init(
    country: str,
    home: Path,
    *,
    authorities: Sequence[str],
    passphrase_file: Path | None,
    spool: Path | None,
    amqp_url: str | None,
    as_json: bool,
) -> None:
    """Make the home and print its public document.

    Raises:
        BadRequest: country, office or passphrase is not one.
        HomeInvalid: there is a node in the folder already, or it cannot be written.
    """
    from broker.api.local_issuer import LocalIssuer

    us = parsed(CountryCode, country, "COUNTRY")
    offices = [_office(text) for text in authorities]
    if not offices:
        raise BadRequest("Name at least one office that uses this node, as ID=NAME.", where="--authority")
    if (home / FILE_NAME).exists():  # before anything is made or asked
        raise HomeInvalid("There is a node in this folder already.", where=str(home / FILE_NAME))
    clock, catalogue = SystemClock(), load_catalogue(None)
    messages, procedures = catalogue.speaks()
    settings = _settings(home, offices, passphrase_file, spool, amqp_url)

    def also() -> None:
        if "spool_folder" in settings:
            create(Path(settings["spool_folder"]), [us])
        LocalIssuer.create(home / TOKEN_KEY_FILE, us=us, clock=clock)

    member = create_home(
        home,
        us,
        passphrase=_passphrase(passphrase_file),
        now=clock.now(),
        authorities=offices,
        messages=messages,
        procedures=procedures,
        settings=settings,
        also=also,
    )
    document = {
        "country": us,
        "home": str(home.absolute()),
        "member": encode_member(member),
        "member_file": str(home.absolute() / MEMBER_FILE),
        "trust_root_file": str(_trust_root(home)),
    }
    output.answer(document, as_json=as_json, people=lambda: _tell(home, member))


def _tell(home: Path, member: Member) -> None:
    console = output.console()
    console.print(f"The home of {member.country}'s node is {home.absolute()}.")
    for key in member.keys:
        console.print(f"  {key.use:<10} {key.kid}  until {key.sign_until:%Y-%m-%d}")
    console.print(
        f"Next:\n"
        f"  1. trm trust request --home {output.word(home)} …   "
        f"asks the federation's officers to list {home / MEMBER_FILE} (public).\n"
        f"  2. trm trust join --home {output.word(home)} …      "
        'begins to believe their list; both: keys/README.md, "A country joins".\n'
        f"  3. Back up the folder and, apart from it, the passphrase: without both nothing can be read again.\n"
        f"  4. trm doctor --home {output.word(home)}"
    )


def _trust_root(home: Path) -> Path:
    return home.absolute() / "trust" / "root.json"


def _settings(
    home: Path,
    offices: Sequence[Authority],
    passphrase_file: Path | None,
    spool: Path | None,
    amqp_url: str | None,
) -> Mapping[str, Any]:
    stated: dict[str, Any] = {"default_authority": str(offices[0].id)}
    if passphrase_file is not None:
        stated["passphrase_file"] = str(passphrase_file.absolute())
    if amqp_url is not None:
        return {**stated, "transport": "rabbitmq", "amqp_url": amqp_url}
    folder = (spool or home / "spool").absolute()
    return {**stated, "transport": "spool", "spool_folder": str(folder)}


def _office(text: str) -> Authority:
    name, _, title = text.partition("=")
    return Authority(id=office_id(name, "--authority"), name=title.strip() or name)


def _passphrase(file: Path | None) -> bytes:
    if file is not None and not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(file, secrets.token_urlsafe(_PASSPHRASE_BYTES).encode("ascii") + b"\n")
    if file is None and not sys.stdin.isatty():
        raise BadRequest(
            "Nobody can be asked for a passphrase here; name a file (it is made if it is missing).",
            where="--passphrase-file",
        )
    return new_passphrase("the vault", None if file is None else str(file.absolute()))
