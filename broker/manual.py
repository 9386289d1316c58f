# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what the manuals take from code and data, so that they cannot say anything else: `python -m broker.manual`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from broker.core.attention import AttentionCode
from broker.core.errors import BrokerError, Expired, Fate, NodeError, SenderError, UntrustedError, every_error
from broker.schema_files import load_catalogue, load_law
from broker.settings import Settings
from broker.trust.document_schemas import (
    ARRANGEMENTS_SCHEMA,
    PROFILE_SCHEMA,
    RETENTION_SCHEMA,
    arrangements_schema,
    profile_schema,
    retention_schema,
)

__all__ = [
    "TABLES",
    "attention_table",
    "document_schemas",
    "errors_table",
    "rewritten",
    "settings_table",
    "write_reference",
]

_FAMILIES = {SenderError: "refused", UntrustedError: "not believed", NodeError: "own fault"}
_RETRY = {
    Fate.REFUSE: "no: change the content",
    Fate.QUARANTINE: "no: kept sealed for people",
    Fate.DROP: "no: not kept, counted",
    Fate.PARK: "offered again by itself",
    Fate.RETRY: "by itself, for ever",
}


def errors_table() -> str:
    """Return every error as a row: code, family, meaning, who must act, HTTP status, receipt, retry."""
    lines = [
        "| code | family | meaning | who must act | HTTP | receipt | retry |",
        "|---|---|---|---|---|---|---|",
    ]
    lines.extend(_error_row(error) for error in every_error())
    return "\n".join(lines) + "\n"


def _error_row(error: type[BrokerError]) -> str:
    family = next(name for base, name in _FAMILIES.items() if issubclass(error, base))
    receipt = "refused, signed" if error.fate is Fate.REFUSE else "none"
    retry = "sealed anew by its sender" if error is Expired else _RETRY[error.fate]
    meaning = (error.__doc__ or "").split("\n")[0]
    return f"| `{error.code}` | {family} | {meaning} | {error.who} | {error.http_status} | {receipt} | {retry} |"


def attention_table() -> str:
    """Return every reason for which a person is called, and who must act."""
    lines = ["| code | who must act | meaning |", "|---|---|---|"]
    lines.extend(f"| `{code.value}` | {code.who} | {code.meaning} |" for code in AttentionCode)
    return "\n".join(lines) + "\n"


def settings_table() -> str:
    """Return the manual's table of all settings, in Markdown."""
    lines = ["| setting | default | unit | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        unit, shown = (str(extra["unit"]), str(extra["shown"])) if isinstance(extra, dict) else ("", "")
        lines.append(f"| `{name}` | {shown or _shown_default(field)} | {unit or '–'} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown_default(field: FieldInfo) -> str:
    return "not set" if field.default is None else f"`{field.default}`"


def document_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of documents that people write by hand, by path below ``schemas/``."""
    return {
        PROFILE_SCHEMA: profile_schema(),
        ARRANGEMENTS_SCHEMA: arrangements_schema(),
        RETENTION_SCHEMA: retention_schema(),
    }


TABLES: Mapping[str, Callable[[], str]] = {
    "errors": errors_table,
    "attention": attention_table,
    "settings": settings_table,
}


def rewritten(text: str) -> str:
    """Return a manual with every table between its markers made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if begin in text:
            head, rest = text.split(begin, 1)
            text = f"{head}{begin}{table()}{end}{rest.split(end, 1)[1]}"
    return text


def write_reference(folder: Path) -> None:
    """Write the reference's pages anew below a folder, and delete those that are no longer made."""
    made = load_catalogue().pages(load_law())
    for path in (folder / "reference").rglob("*.md"):
        if path.relative_to(folder).as_posix() not in made:
            path.unlink()
    for place, text in made.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, "utf-8")


def main() -> None:
    """Rewrite the tables of the manuals named on the command line; without one, also the reference and the schemas of documents."""
    if not sys.argv[1:]:
        write_reference(Path("schemas"))
        for place, schema in document_schemas().items():
            Path("schemas", place).write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for name in sys.argv[1:] or ["broker/README.md"]:
        path = Path(name)
        path.write_text(rewritten(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
