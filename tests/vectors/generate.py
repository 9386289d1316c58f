# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a fresh set of envelope vectors into a folder: ``python tests/vectors/generate.py FOLDER``.

Stored vectors never change. A new case is generated into a folder of its own and only its file is added to the stored ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bad_inside
import bad_outside
import good


def main(folder: Path) -> None:
    """Write one file for each case."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (good, bad_outside, bad_inside):
        for case in source.cases():
            file = folder / f"{case.name}.json"
            if file.exists():
                raise SystemExit(f"{file.name} exists already; stored vectors never change")
            file.write_bytes(case.document())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
