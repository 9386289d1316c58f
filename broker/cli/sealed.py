# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm seal`, `attachment seal` and `attachment unseal`: at an office's own desk, by its own keys.

None of them runs inside a node, and none needs one: a node is handed what is sealed, and gives back what it cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from broker.cli import output
from broker.cli.authority_vault import named_office, open_authority_vault
from broker.cli.input import MAX_BYTES, new_file, parsed, read_bytes, read_json
from broker.core.errors import BadRequest
from broker.core.ids import CountryCode
from broker.core.messages import Party
from broker.core.rotation import PublicKey
from broker.durable import write_durably
from broker.office_api import (
    federation,
    key_of_office,
    open_file,
    seal_file,
    seal_submission,
)
from broker.settings import Settings
from broker.system import SystemClock
from broker.trust.authority_key_documents import read_offered

if TYPE_CHECKING:
    from broker.catalogue import Catalogue
    from broker.core.trust import TrustList

__all__ = ["seal", "seal_attachment", "unseal_attachment"]


def seal(
    file: Path,
    *,
    out: Path,
    country: str | None,
    trust: str | None,
    root: Path | None,
    home: Path | None,
    own: Path | None,
    copy: Path | None,
    as_json: bool,
) -> None:
    """Write a submission with its marked parts sealed, and a copy that the sending office can open.

    Raises:
        SchemaInvalid, BadRequest: something does not fit; nothing is written.
        AuthorityKeyMissing, UnknownRecipient: nothing can be sealed to that office.
        TrustListInvalid: the list cannot be believed.
    """
    if (own is None) is not (copy is None):
        raise BadRequest("A copy needs both: the office's own public keys, and where it goes.", where="--own, --copy")
    believed, catalogue, stated = _federation(trust, root, home)
    keeper = None if own is None else _newest(own)
    us = stated if country is None else parsed(CountryCode, country, "--country")
    if us is None:
        raise BadRequest("Say of which country the sending office is.", where="--country")
    data = read_json(file)
    sealed = seal_submission(
        data, country=us, trust=believed, catalogue=catalogue, now=_now(), own=None if keeper is None else keeper[1]
    )
    _write(out, sealed.data)
    if copy is not None and sealed.copy is not None:
        _write(copy, {**sealed.copy, "sender": {**sealed.copy["sender"], "country": str(us)}})

    def people() -> None:
        console = output.console()
        for place in sealed.places:
            console.print(f"sealed: /body{place}")
        console.print(
            f"{out} is for the node: trm submit {output.word(out)}. "
            "Destroy the clear file, or keep it where such data may lie."
            if sealed.places
            else f"Nothing in a message of this type had to be sealed; {out} is the same."
        )

    document = {"file": str(out.absolute()), "sealed": [f"/body{place}" for place in sealed.places]}
    output.answer(document, as_json=as_json, people=people)


def seal_attachment(
    file: Path,
    *,
    sender: str,
    to: str,
    out: Path,
    name: str | None,
    trust: str | None,
    root: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Write a file, sealed to an office, into a new one.

    Raises:
        AttachmentRefused: it may not travel.
        AuthorityKeyMissing, UnknownRecipient: nothing can be sealed to that office.
        BadRequest: a file cannot be read or written, or is there already.
    """
    believed, _, _ = _federation(trust, root, home)
    recipient = named_office(to)
    key = key_of_office(believed, recipient, _now())
    with _reading(file) as source, new_file(out) as target:
        seal_file(source, target, name=name or file.name, sender=named_office(sender), recipient=recipient, key=key)
    size = out.stat().st_size

    def people() -> None:
        output.console().print(
            f"{out} is sealed to {to}: {size} bytes.\n"
            f"Next: trm attachment add {output.word(out)}. Its name is seen by the nodes; "
            f"the file's own name is sealed."
        )

    output.answer({"file": str(out.absolute()), "size": size}, as_json=as_json, people=people)


def unseal_attachment(
    file: Path, *, sender: str, vault: Path, passphrase_file: Path | None, out: Path, as_json: bool
) -> None:
    """Write a sealed file's bytes in clear into a new file.

    Raises:
        UntrustedError: it does not open, or was sealed from or to another office.
        AttachmentRefused: what is inside may not travel.
        BadRequest: a file cannot be read or written, or is there already.
    """
    held = open_authority_vault(vault, passphrase_file)
    with _reading(file) as source, new_file(out) as target:
        what = open_file(source, target, opener=held.opener(), sender=named_office(sender), recipient=held.owner)
    document = {"file": str(out.absolute()), "name": what.name, "media_type": what.media_type, "size": what.size}
    output.answer(
        document,
        as_json=as_json,
        people=lambda: output.console().print(
            output.plain(f"{out}: {what.size} bytes, {what.media_type}; its sender calls it {what.name}")
        ),
    )


def _federation(
    trust: str | None, root: Path | None, home: Path | None
) -> tuple[TrustList, Catalogue, CountryCode | None]:
    """Return list and catalogue from a source and its pinned root, or those of a node's home on the same machine."""
    if trust is not None and root is not None:
        return (*federation(trust, read_bytes(root, most=MAX_BYTES)), None)
    if home is None or trust is not None or root is not None:
        raise BadRequest("Name the trust list and its pinned root, or a node's home.", where="--trust, --root")
    from broker.trust.opening import catalogue_in_force, trust_in_force

    settings = Settings.load(home)
    catalogue = catalogue_in_force(settings)
    return trust_in_force(settings), catalogue, settings.country


def _newest(own: Path) -> tuple[Party, PublicKey]:
    offered = read_offered(read_bytes(own, most=MAX_BYTES), where=str(own))
    if not offered.keys:
        raise BadRequest("The file holds no key.", where="--own")
    return offered.owner, offered.keys[-1]


def _write(path: Path, document: Mapping[str, Any]) -> None:
    write_durably(path, json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8") + b"\n")


@contextmanager
def _reading(file: Path) -> Iterator[BinaryIO]:
    try:
        stream = file.open("rb")
    except OSError as error:
        raise BadRequest(f"The file cannot be read ({type(error).__name__}).", where=str(file)) from None
    with stream:
        yield stream


def _now() -> datetime:
    return SystemClock().now()
