# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where private keys live: one encrypted file per node, changed only as a whole, never holding a key in clear.

- A fresh content key encrypts each written file (AES-256-GCM, header authenticated); a `Wrapper` keeps that key: a
  passphrase (Argon2id) or an AES key inside an HSM (PKCS#11). No HSM that can be tested holds ML-DSA or the hybrid KEM:
  it protects the wrapping key, and the private keys are in this process's memory while the node runs.
- A change is written beside the file, tried out, synced and renamed over it, under a lock: after a crash the vault is
  the old one or the new one.
- Private keys do not come out: `FileVault` gives a `Signer`, an `Opener`, and the `EpochRing` for data at rest. It sees by itself that the file changed.
- An entry is a kind, an id, its material, when it was made and its state; a destroyed one stays as a mark without material.
- Python cannot wipe memory: whoever reads the memory of a running node has its keys.
"""

from __future__ import annotations

from broker.vault.entries import AT_REST, Entry, EntryKind, EntryState, PrivateKey
from broker.vault.file import Contents, VaultFile
from broker.vault.held import FileVault
from broker.vault.offline import public_beside, write_offline_key
from broker.vault.unlocking import Unlocking, open_vault
from broker.vault.wrapping import DEFAULT_KDF, UNSAFE_DEV_KDF, KdfParameters, PassphraseWrapper, Wrapper

__all__ = [
    "AT_REST", "DEFAULT_KDF", "UNSAFE_DEV_KDF", "Contents", "Entry", "EntryKind", "EntryState", "FileVault", "KdfParameters",
    "PassphraseWrapper", "PrivateKey", "Unlocking", "VaultFile", "Wrapper", "open_vault", "public_beside",
    "write_offline_key",
]  # fmt: skip
