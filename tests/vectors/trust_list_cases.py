# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A trust list as it is published, in one file: ``python -m tests.vectors.trust_list_cases FOLDER`` writes a fresh one.

Its lists end in a hundred years, so that a stored one can always be read; its keys are made anew and kept nowhere.
"""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from broker.trust import layout
from tests.vectors.trust_forge import published

MADE = datetime(2026, 11, 22, 3, tzinfo=UTC)


def main(folder: Path) -> None:
    """Write it."""
    with TemporaryDirectory() as made, patch.object(layout, "lifetime", lambda _role: timedelta(days=36_500)):
        forge = published(Path(made) / "trust", MADE)
        root = forge.office.folder
        files = [file for part in ("metadata", "targets") for file in (root / part).rglob("*.json")]
        document = {
            "name": "published",
            "comment": "A federation of Estonia and Finland, two of three officers each, as nodes fetch it.",
            "root": _text(forge.office.root),
            "files": {file.relative_to(root).as_posix(): _text(file.read_bytes()) for file in sorted(files)},
            "version": forge.look().trust.version,
            "members": {
                country: {"status": member.status, "kids": [key.kid for key in member.keys]}
                for country, member in forge.look().trust.members.items()
            },
        }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "published.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
