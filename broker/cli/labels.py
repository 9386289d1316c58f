# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm labels`: what the translations lack, and translators' tables out and in."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from broker.catalogue.labels import LANGUAGES, SOURCE_LANGUAGE, Gaps, Translation, find_gaps
from broker.cli import output
from broker.core.errors import BadRequest, CatalogueInvalid, NotFound
from broker.schema_files import list_translations, load_catalogue, load_labels, load_translation

__all__ = ["check", "export", "show", "take_in"]


def show(begins: str, *, language: str, folder: Path | None, as_json: bool) -> None:
    """Show the labels whose keys begin so, as a reader of that language gets them.

    Raises:
        NotFound: no key begins so.
        CatalogueInvalid: the folder, or the language's file, cannot be used.
    """
    labels = load_labels(load_catalogue(folder), folder)
    found = {key: labels.label(key, language) for key in labels.known() if key.startswith(begins)}
    if not found:
        raise NotFound("No label has a key that begins so: schemas/LANGUAGE.md lists them.", where="KEY")
    described = {
        key: {"text": label.text, "language": label.language, "status": label.status} for key, label in found.items()
    }

    def people() -> None:
        rows = ((key, label.text, label.language, label.status) for key, label in found.items())
        output.table(("key", "text", "in", "status"), rows, wide=("key", "text"))

    output.answer({"language": language, "labels": described}, as_json=as_json, people=people)


def check(folder: Path | None, *, as_json: bool) -> int:
    """List what each language lacks and return the exit code."""
    english = load_catalogue(folder).english()
    gaps = {language: find_gaps(english, _translation(language, folder)) for language in _translated(folder)}
    _report(len(english), gaps, as_json=as_json)
    return output.EXIT_REFUSED if any(gaps.values()) else output.EXIT_OK


def export(file: Path, *, every: bool, folder: Path | None, as_json: bool) -> None:
    """Write the table of what is to be translated."""
    english = load_catalogue(folder).english()
    translated = _translated(folder)
    translations = {language: _translation(language, folder) for language in translated}
    lacking = {key for known in translations.values() for key in _to_mend(find_gaps(english, known))}
    wanted = [key for key in english if every or key in lacking]
    with file.open("w", encoding="utf-8-sig", newline="") as stream:  # the mark makes spreadsheet programs read UTF-8
        table = csv.writer(stream)
        table.writerow(("key", SOURCE_LANGUAGE, *translated))
        for key in wanted:
            present = (translations[language].labels.get(key, ("", "")) for language in translated)
            table.writerow((key, english[key], *(text for _, text in present)))
    document = {"file": str(file), "labels": len(wanted)}
    people = lambda: output.console().print(f"{len(wanted)} labels are in {file}.")  # noqa: E731
    output.answer(document, as_json=as_json, people=people)


def take_in(file: Path, *, folder: Path | None, as_json: bool) -> int:
    """Merge a table into the languages' files and return the exit code.

    Raises:
        BadRequest: the file cannot be read, or a line names a key that nothing has or translates another English.
    """
    english = load_catalogue(folder).english()
    translated = _translated(folder)
    rows = _rows(file, english, translated)
    root = folder if folder is not None else _source_folder()
    gaps: dict[str, Gaps] = {}
    for language in translated:
        before = _translation(language, folder)
        given = {key: (english[key], row[language]) for key, row in rows.items() if row.get(language)}
        after = _completed(before, given, english)
        _write(root / "labels" / f"{language}.json", after)
        gaps[language] = find_gaps(english, after)
    _report(len(english), gaps, as_json=as_json)
    return output.EXIT_REFUSED if any(gaps.values()) else output.EXIT_OK


def _report(total: int, gaps: Mapping[str, Gaps], *, as_json: bool) -> None:
    document = {
        "labels": total,
        "languages": {
            language: {"missing": list(lacks.missing), "stale": list(lacks.stale), "unused": list(lacks.unused)}
            for language, lacks in gaps.items()
        },
    }

    def people() -> None:
        rows = [
            (language, what, key)
            for language, lacks in gaps.items()
            for what in ("missing", "stale", "unused")
            for key in getattr(lacks, what)
        ]
        if rows:
            output.table(("language", "what", "label"), rows, wide=("label",))
        output.console().print(f"{total} labels, {len(gaps)} translations, {len(rows)} things to mend.")

    output.answer(document, as_json=as_json, people=people)


def _to_mend(gaps: Gaps) -> tuple[str, ...]:
    return gaps.missing + gaps.stale


def _translated(folder: Path | None) -> tuple[str, ...]:
    """Return the languages that must be there, and those that somebody added a file for."""
    wanted = [language for language in LANGUAGES if language != SOURCE_LANGUAGE]
    return (*wanted, *(language for language in list_translations(folder) if language not in wanted))


def _translation(language: str, folder: Path | None) -> Translation:
    found = load_translation(language, folder)
    if found is None:
        raise CatalogueInvalid("This language has no file.", where=f"labels/{language}.json")
    return found


def _source_folder() -> Path:
    """Return the schemas of a source tree: an installed program's own copy is not changed."""
    folder = Path(__file__).resolve().parents[2] / "schemas"
    if not folder.is_dir():
        raise BadRequest(
            "This program is installed without its source tree; name the schemas folder.", where="--folder"
        )
    return folder


def _rows(file: Path, english: Mapping[str, str], translated: Collection[str]) -> dict[str, dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream, strict=True)
            columns = (SOURCE_LANGUAGE, *translated)
            if not {"key"} <= set(table.fieldnames or ()) <= {"key", *columns}:
                raise BadRequest(f"The columns are key and some of: {', '.join(columns)}.", where=str(file))
            found = {row["key"]: {name: (text or "").strip() for name, text in row.items()} for row in table}
    except (OSError, UnicodeDecodeError, csv.Error):
        raise BadRequest("The file cannot be read as CSV in UTF-8.", where=str(file)) from None
    for key, row in found.items():
        if key not in english:
            raise BadRequest("Nothing has this key.", where=f"{file}: {key}")
        if row.get(SOURCE_LANGUAGE, "") not in {"", english[key]}:
            raise BadRequest("The English of this label has changed since the table was made.", where=f"{file}: {key}")
    return found


def _completed(before: Translation, given: Mapping[str, tuple[str, str]], english: Mapping[str, str]) -> Translation:
    """Return the translation with what is given, what the same English is called elsewhere, and nothing unused."""
    known = {**before.labels, **given}
    memory = dict(known.values())
    labels = {}
    for key in english:
        if key not in known and english[key] in memory:
            labels[key] = (english[key], memory[english[key]])
        elif key in known:
            labels[key] = known[key]
    return Translation(
        language=before.language, name=before.name, status=before.status, labels=MappingProxyType(labels)
    )


def _write(file: Path, translation: Translation) -> None:
    """Write one label a line, so that two people's additions seldom touch."""
    lines = [
        f"{json.dumps(key)}: {json.dumps({'en': source, 'text': text}, ensure_ascii=False)}"
        for key, (source, text) in sorted(translation.labels.items())
    ]
    head = {"language": translation.language, "name": translation.name, "status": translation.status}
    opening = ",\n".join(f"  {json.dumps(name)}: {json.dumps(text, ensure_ascii=False)}" for name, text in head.items())
    body = ",\n".join(f"    {line}" for line in lines)
    file.write_text(f'{{\n{opening},\n  "labels": {{\n{body}\n  }}\n}}\n', encoding="utf-8")
