# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm open`: an office reads what its node could not, one message or everything that came."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.cli import output
from broker.cli.authority_vault import open_authority_vault
from broker.cli.input import read_json
from broker.core.errors import BadRequest, BrokerError
from broker.durable import write_durably
from broker.office_api import OpenedMessage, Surroundings, clarification, open_parts, surroundings_of

if TYPE_CHECKING:
    from broker.catalogue import Catalogue
    from broker.security.suite import Opener

__all__ = ["open_message", "open_messages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One file's message, opened."""

    document: Any
    around: Surroundings
    opened: OpenedMessage

    @property
    def faults(self) -> list[dict[str, str]]:
        """What must not be used, as it is shown."""
        return [
            {"place": f"/body{one.place}", "where": f"/body{one.where}", "code": one.code, "detail": one.detail}
            for one in self.opened.faults
        ]

    @property
    def places(self) -> list[str]:
        """What is in clear now."""
        return [f"/body{place}" for place in self.opened.opened]

    @property
    def in_clear(self) -> dict[str, Any]:
        """The message as it came, its parts in clear."""
        document, body = self.document, self.opened.body
        if isinstance(document.get("content"), Mapping):
            return {**document, "content": {**document["content"], "body": body}}
        return {**document, "body": body}


def open_messages(
    files: Sequence[Path],
    *,
    vault: Path,
    passphrase_file: Path | None,
    out: Path | None,
    clarify: Path | None,
    kind: str,
    catalogue_folder: Path | None,
    as_json: bool,
) -> int:
    """Open one message, or several of them into a folder; return the exit code.

    Raises:
        BadRequest: options do not fit each other, or the one file holds no message.
        HomeInvalid, VaultLocked: the vault cannot be opened.
    """
    from broker.schema_files import load_catalogue

    if len(files) > 1 and (out is None or clarify is not None):
        raise BadRequest("Several messages go into a folder (--out), and are asked for anew one by one.", where="--out")
    if len({file.name for file in files}) < len(files):
        raise BadRequest("Two of the files have one name: open them into folders of their own.", where="FILE")
    opener, catalogue = open_authority_vault(vault, passphrase_file).opener(), load_catalogue(catalogue_folder)
    if len(files) > 1 and out is not None:
        return _open_all(files, out, opener, catalogue, as_json=as_json)
    return open_message(
        files[0], out=out, clarify=clarify, kind=kind, opener=opener, catalogue=catalogue, as_json=as_json
    )


def open_message(
    file: Path,
    *,
    out: Path | None,
    clarify: Path | None,
    kind: str,
    opener: Opener,
    catalogue: Catalogue,
    as_json: bool,
) -> int:
    """Show a message with its parts in clear, and say of each faulty one what is wrong; return the exit code.

    Raises:
        BadRequest: the file holds no message.
    """
    read = _read(file, opener, catalogue)
    faults = read.faults
    if out is not None:
        _write(out, read.in_clear)
    if clarify is not None and faults:
        _write(clarify, _question(read, kind))
    shown: dict[str, Any] = {"opened": read.places, "faults": faults}
    if out is None:
        shown["body"] = read.opened.body

    def people() -> None:
        console = output.console()
        for fault in faults:
            console.print(output.plain(f"NOT TO BE USED: {fault['where']}: {fault['code']}: {fault['detail']}"))
        if out is None:
            console.print(output.plain(json.dumps(read.opened.body, ensure_ascii=False, indent=2)))
        else:
            console.print(f"{len(read.places)} parts are in clear in {out}.")
        if faults:
            console.print(
                "Ask the sender to seal it anew (--clarify writes the question); use nothing of a faulty part."
            )

    output.answer(shown, as_json=as_json, people=people)
    return output.EXIT_REFUSED if faults else output.EXIT_OK


def _open_all(files: Sequence[Path], out: Path, opener: Opener, catalogue: Catalogue, *, as_json: bool) -> int:
    """Open each into the folder under its own name; one that does not open keeps no other from it, none is written over."""
    try:
        out.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise BadRequest(f"The folder cannot be made ({type(error).__name__}).", where="--out") from None
    told = [_open_into(file, out / file.name, opener, catalogue) for file in files]

    def people() -> None:
        console = output.console()
        for one in told:
            if "code" in one:
                console.print(output.plain(f"NOT OPENED: {one['file']}: {one['code']}: {one['detail']}"))
            for fault in one.get("faults", ()):
                line = f"NOT TO BE USED: {one['file']}: {fault['where']}: {fault['code']}: {fault['detail']}"
                console.print(output.plain(line))
        whole = sum(one.get("faults") == [] for one in told)
        there = sum(bool(one.get("there")) for one in told)
        console.print(
            output.plain(f"{whole} of {len(told)} messages are in clear in {out}; {there} were there before.")
        )

    output.answer({"files": told}, as_json=as_json, people=people)
    return output.EXIT_REFUSED if any("code" in one or one.get("faults") for one in told) else output.EXIT_OK


def _open_into(file: Path, target: Path, opener: Opener, catalogue: Catalogue) -> dict[str, Any]:
    """Return what became of one file of several."""
    if target.exists():
        return {"file": str(file), "out": str(target), "there": True}
    try:
        read = _read(file, opener, catalogue)
        _write(target, read.in_clear)
    except BrokerError as error:
        return {"file": str(file), "code": error.code, "detail": error.detail}
    except OSError as error:
        return {"file": str(file), "code": BadRequest.code, "detail": f"It cannot be written ({type(error).__name__})."}
    return {"file": str(file), "out": str(target), "opened": read.places, "faults": read.faults}


def _read(file: Path, opener: Opener, catalogue: Catalogue) -> _Read:
    document = read_json(file)
    around, body = surroundings_of(document)
    return _Read(document=document, around=around, opened=open_parts(around, body, opener=opener, catalogue=catalogue))


def _question(read: _Read, kind: str) -> dict[str, Any]:
    content = read.document.get("content", read.document)
    header = content.get("header", content)
    office = read.around.recipient
    asked_by = {"name": str(office.authority), "kind": kind, **office.to_json()}
    digest = read.document.get("digest")
    return clarification(read.around, header, read.opened.faults, asked_by=asked_by, digest=digest)


def _write(path: Path, document: Mapping[str, Any]) -> None:
    write_durably(path, json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8") + b"\n")
