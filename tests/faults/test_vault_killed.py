# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A change of the vault that is killed: one whole vault stays, the old one or the new one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from broker.core.canonical import b64url_encode
from broker.core.ids import CountryCode
from broker.home import generate_keys
from broker.vault import UNSAFE_DEV_KDF, FileVault, PassphraseWrapper, VaultFile

_CHANGE_AND_DIE = """
import os, signal, sys
from pathlib import Path
import broker.durable
from broker.vault import UNSAFE_DEV_KDF, PassphraseWrapper, VaultFile

step, calls = int(sys.argv[2]), 0
for name in ("open", "fsync", "fchmod", "close"):
    def dying(*args, inner=getattr(os, name), **more):
        global calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **more)
    setattr(os, name, dying)
VaultFile(Path(sys.argv[1]), PassphraseWrapper(b"correct horse")).change(
    lambda entries: entries[1:], wrapper=PassphraseWrapper(b"correct horse", UNSAFE_DEV_KDF)
)
"""


@pytest.mark.parametrize("step", range(2, 7))
def test_killed_change_leaves_one_whole_vault(tmp_path: Path, step: int) -> None:
    """Killed at any call to the disk, the vault holds the old entries or the new ones, and a later change works."""
    path, keys = tmp_path / "vault.json", generate_keys()
    FileVault.create(path, b"correct horse", keys, us=CountryCode("EE"), kdf=UNSAFE_DEV_KDF)

    done = subprocess.run(
        [sys.executable, "-c", _CHANGE_AND_DIE, str(path), str(step)], check=False, capture_output=True, timeout=60
    )

    file = VaultFile(path, PassphraseWrapper(b"correct horse"))
    assert done.returncode == -signal.SIGKILL, done.stderr
    seeds = [key.seed for key in file.read().keys]
    assert seeds in ([key.seed for key in keys], [key.seed for key in keys[1:]])
    file.change(lambda entries: entries)
    assert [key.seed for key in file.read().keys] == seeds
    for beside in path.parent.iterdir():
        assert not any(b64url_encode(key.seed).encode() in beside.read_bytes() for key in keys)
