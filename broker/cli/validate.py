# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm validate`: everything that is wrong with a file, each with its place, and nothing of what the file says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.catalogue import Catalogue
from broker.cli import output
from broker.cli.input import parsed, read_json
from broker.core.errors import BadRequest
from broker.core.ids import MessageType, SchemaVersion
from broker.schema_files import load_catalogue

__all__ = ["validate"]


def validate(file: Path, *, type_name: str | None, version: str | None, as_json: bool) -> int:
    """List the file's problems and return the exit code.

    Raises:
        BadRequest: the file cannot be read or is not JSON.
        UnknownType, VersionNotSupported: there is no schema of the type given.
    """
    if version is not None and type_name is None:
        raise BadRequest("A version is only given together with a type.", where="--version")
    kind = parsed(MessageType, type_name, "--type") if type_name is not None else None
    data = read_json(file)
    catalogue = load_catalogue(None)
    wanted = parsed(SchemaVersion, version, "--version") if version is not None else None
    problems = catalogue.validate_document(data, kind=kind, version=wanted)
    document = {
        "file": str(file),
        "type": kind or _known_type(catalogue, data),
        "valid": not problems,
        "problems": [{"pointer": p.pointer, "rule": p.rule, "sentence": p.sentence} for p in problems],
    }

    def people() -> None:
        if problems:
            output.table(
                ("where", "what is wrong"), ((p.pointer, p.sentence) for p in problems), wide=("what is wrong",)
            )
            output.console().print(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'} in {file}.")
        else:
            output.console().print(f"{file} is a valid {document['type']}.")

    output.answer(document, as_json=as_json, people=people)
    return output.EXIT_REFUSED if problems else output.EXIT_OK


def _known_type(catalogue: Catalogue, data: Any) -> str | None:
    """Return the file's type where it is one of ours: any other text may hold anything."""
    stated = data.get("type") if isinstance(data, Mapping) else None
    return next((str(kind) for kind in catalogue.types() if kind == stated), None)
