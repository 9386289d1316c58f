# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Names and contents of the files, without touching any."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from broker.adapter_api import Accepted, BadRequest, BrokerError, ErasedMessage, InboundMessage, problem, spelled_out

__all__ = [
    "ACCEPTED_SUFFIX", "NOTE_SUFFIX", "PROBLEM_SUFFIX", "accepted_note", "attachment_name", "enclosed_files", "files_name",
    "free_names", "idempotency_key", "is_offered", "noted_message", "parse_submission", "problem_note", "received_file",
    "received_name", "received_stem", "with_uploads",
]  # fmt: skip

ACCEPTED_SUFFIX = ".accepted.json"
PROBLEM_SUFFIX = ".problem.json"
NOTE_SUFFIX = ".uploads"  # of the hidden note how far a submission's files are
_FILES = ".files"
_IN_THE_MAKING = (".tmp", ".part")


def received_name(message: InboundMessage) -> str:
    """Return the name of a received message's file: sender and id, so that the same message is the same file.

    Of the id alone one country could take away another's file name, and the message would never land.
    """
    return f"{message.sender.country}.{message.id}.json"


def attachment_name(message: InboundMessage, place: int) -> str:
    """Return the name of an attachment's file: beside its message, by its place there; its own name may be a child's."""
    ending = message.attachments[place].name.rpartition(".")[2].lower()
    return f"{message.sender.country}.{message.id}.{place + 1}.{ending}"


def received_stem(message: ErasedMessage) -> str:
    """Return what the names of a received message's file and of its attachments begin with."""
    return f"{message.country}.{message.id}."


def noted_message(note: bytes) -> str | None:
    """Return the id that the note beside a sent file names; None where it is no such note."""
    try:
        data = json.loads(note)
    except (ValueError, RecursionError):
        return None
    return data.get("message") if isinstance(data, dict) else None


def received_file(message: InboundMessage) -> bytes:
    """Return the content of a received message's file."""
    return _json(message.to_json())


def is_offered(name: str) -> bool:
    """Whether a name in out/ is meant to be submitted: neither hidden nor in the making, nor a folder of files."""
    return not name.startswith(".") and not name.lower().endswith((*_IN_THE_MAKING, _FILES))


def files_name(name: str) -> str:
    """Return the name of the folder with the files of a submission: `request.files` beside `request.json`."""
    return f"{name[: -len('.json')] if name.lower().endswith('.json') else name}{_FILES}"


def enclosed_files(submission: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """Return the files of its folder that a submission names, each with its place among the attachments.

    Raises:
        BadRequest: one is no plain file name.
    """
    items = submission.get("attachments")
    if not isinstance(items, list):
        return ()
    found = []
    for place, item in enumerate(items):
        if isinstance(item, dict) and "file" in item:
            file = item["file"]
            if not isinstance(file, str) or file in {"", ".", ".."} or "/" in file or spelled_out(file) != file:
                raise BadRequest("A file is named as it is called in the folder.", where=f"/attachments/{place}/file")
            found.append((place, file))
    return tuple(found)


def with_uploads(submission: Mapping[str, Any], uploads: Mapping[int, str]) -> dict[str, Any]:
    """Return the submission as the node takes it: each file by its upload; its name is the file's unless it says another."""
    items = list(submission["attachments"])
    for place, upload in uploads.items():
        rest = {member: value for member, value in items[place].items() if member != "file"}
        items[place] = {"name": items[place]["file"], **rest, "upload": upload}
    return {**submission, "attachments": items}


def idempotency_key(name: str, raw: bytes) -> str:
    """Return the same key for the same name and content, so that a file cannot be sent twice by a crash."""
    return hashlib.sha256(os.fsencode(name) + b"\0" + raw).hexdigest()


def parse_submission(name: str, raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a file.

    Raises:
        BadRequest: it is not one; what the file says is not repeated.
    """
    if not name.lower().endswith(".json"):
        raise BadRequest("A file to be submitted has a name that ends in .json.")
    try:
        data = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise BadRequest("The file is not JSON in UTF-8, or an object in it has a name twice.") from None
    if not isinstance(data, dict):
        raise BadRequest("The file is not a JSON object.")
    return data


def accepted_note(accepted: Accepted) -> bytes:
    """Return what is written beside a sent file: the same bytes for every answer to the same key."""
    return _json(
        {"message": str(accepted.message), "procedure": str(accepted.procedure), "digest": str(accepted.digest)}
    )


def problem_note(error: BrokerError) -> bytes:
    """Return what is written beside a rejected file: what is wrong, where, and who must act."""
    return _json(problem(error))


def free_names(name: str) -> Iterator[str]:
    """Yield the name, then the name with ``~2``, ``~3`` … before its ending."""
    yield name
    stem, dot, ending = name.rpartition(".")
    for number in range(2, 10_000):
        yield f"{stem}~{number}{dot}{ending}" if stem else f"{name}~{number}"


def _json(data: Any) -> bytes:
    """Return readable JSON; what could turn or hide text where a person opens the file stands in it as an escape."""
    return spelled_out(json.dumps(data, indent=2, ensure_ascii=False), keep="\n").encode("utf-8") + b"\n"


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a name twice")
    return data


def _refuse(constant: str) -> NoReturn:
    raise ValueError("not a JSON number")
