# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a backup as the program that runs this makes it, with a published recovery key: once for each revision of the tables.

Run it with the program whose revision is to be kept, `python generate.py FOLDER`; a program of a later revision cannot
write an earlier one's backup, so these files are never made again.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from broker.backup.recovery import RECOVERY_FILE, NamedKey, accept
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse
from broker.security import jwk
from broker.security.backup_file import RecoveryKey
from broker.storage.schema import HEAD
from broker.testing import store_rows as rows
from broker.testing.backed_home import BackedHome, fill

__all__ = ["LABEL", "MESSAGES"]

LABEL = b"trm-broker test recovery key"  # its private half is the SHA-256 of this: everybody has it
MESSAGES = 3  # of either direction


def main(to: Path) -> None:
    """Write both files, and what they hold."""
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = BackedHome.create(Path(folder))
        (home.settings.home / RECOVERY_FILE).unlink()
        public = jwk.public_of(KeyUse.HPKE, sha256(LABEL).digest())
        accept(home.settings.home, NamedKey(country=CountryCode("EE"), label="test", key=RecoveryKey(public=public)))
        fill(home, MESSAGES)
        data, keys = home.back_up()
        shutil.copy(data.file, to / f"{HEAD}.trmdata")
        shutil.copy(keys.file, to / f"{HEAD}.trmkeys")
    held = {
        str(row.id): sha256(row.content).hexdigest()
        for number in range(MESSAGES)
        for row in (rows.outgoing(2 * number), rows.incoming(2 * number + 1))
    }
    (to / f"{HEAD}.json").write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
