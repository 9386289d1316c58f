# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One file that holds a published trust repository, for sites without a connection: a zip archive.

It is believed no more than a server is; what a hostile one could do to the machine is bounded here: nothing is written
to disk, and names, number and sizes are judged before anything is unpacked.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from pathlib import Path

from broker.core.errors import CeremonyRefused, HomeInvalid, TrustListInvalid
from broker.core.trust import TrustRule
from broker.durable import not_written, write_durably
from broker.plain_files import files_below, leads_out, open_plain, read_plain
from broker.trust.layout import MAX_DOCUMENT

__all__ = ["pack", "unpack"]

_NAME = re.compile(r"(?:metadata|targets)(?:/[A-Za-z0-9][A-Za-z0-9._%-]*){1,4}\.json", re.ASCII)
_MAX_FILES = 5_000
_MAX_BYTES = 64 * 1024 * 1024  # of all files together, unpacked
_MAX_ARCHIVE = 64 * 1024 * 1024  # bytes


def pack(folder: Path, file: Path) -> None:
    """Write what nodes read of a repository into one file; what waits for signatures stays out.

    Raises:
        CeremonyRefused: nothing is published in the folder, or a link in it leads elsewhere.
        HomeInvalid, DiskFull: the folder cannot be read, or the file cannot be written.
    """
    items = [item for part in ("metadata", "targets") for item in _documents(folder / part)]
    for item in items:
        if leads_out(item, folder):  # a stick's link would carry out a file of this machine
            raise CeremonyRefused("A link leads out of the folder.", where=str(item))
    found = {item.relative_to(folder).as_posix(): _document(item) for item in items}
    if "metadata/timestamp.json" not in found:
        raise CeremonyRefused("Nothing is published in this folder yet.", where=str(folder))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in found.items():
            archive.writestr(name, raw)
    try:
        write_durably(file, stream.getvalue(), mode=0o644)
    except OSError as error:
        raise not_written(error, file, "The file cannot be written") from None


def unpack(file: Path) -> dict[str, bytes]:
    """Return the files of a bundle by their names.

    Raises:
        TrustListInvalid: it cannot be read, or is not such a bundle.
    """
    try:
        with open_plain(file) as stream:
            if os.fstat(stream.fileno()).st_size > _MAX_ARCHIVE:
                raise _bad(file, "The bundle is too large.", TrustRule.TOO_LARGE)
            with zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
                _judge(file, members)
                return {member.filename: _content(file, archive, member) for member in members}
    except OSError as error:
        raise _bad(file, f"The bundle cannot be read ({type(error).__name__}).", TrustRule.UNREACHABLE) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        raise _bad(file, "The file is damaged or not a bundle.", TrustRule.MALFORMED) from None


def _documents(folder: Path) -> list[Path]:
    try:
        return [file for file in files_below(folder) if file.name.endswith(".json")]
    except OSError as error:
        raise HomeInvalid(f"The folder cannot be read ({type(error).__name__}).", where=str(folder)) from None


def _document(file: Path) -> bytes:
    try:
        raw = read_plain(file, MAX_DOCUMENT)
    except OSError as error:
        raise HomeInvalid(f"The folder cannot be read ({type(error).__name__}).", where=str(file)) from None
    if len(raw) > MAX_DOCUMENT:
        raise CeremonyRefused("A file in the folder is too large.", where=str(file))
    return raw


def _judge(file: Path, members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if len(names) > _MAX_FILES or sum(member.file_size for member in members) > _MAX_BYTES:
        raise _bad(file, "The bundle would unpack to more than a trust list can be.", TrustRule.TOO_LARGE)
    if len(names) != len(set(names)) or not all(map(_NAME.fullmatch, names)):
        raise _bad(file, "A file in the bundle has a name that none may have, or one twice.", TrustRule.MALFORMED)


def _content(file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:
        raw = stream.read(MAX_DOCUMENT + 1)  # the size that the archive states may be a lie
    if len(raw) > MAX_DOCUMENT:
        raise _bad(file, "A file in the bundle is too large.", TrustRule.TOO_LARGE)
    return raw


def _bad(file: Path, sentence: str, rule: TrustRule) -> TrustListInvalid:
    return TrustListInvalid(sentence, where=str(file), rule=rule)
