# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store on SQLite (embedded default) and PostgreSQL, in SQLAlchemy Core statements built once at import.

- `migrate(url)` brings a database to this program's schema, `encrypt_clear(url, …)` what an older program left in clear
  under the keys of cases; `open_store(url, us=…, cipher=…)` refuses any other.
- Contents are ciphertext at rest: this room encrypts at its door and opens at its door (`case_keys.py`). Whoever opens a
  store gives it the vault's keys (`AtRest`), or `locked()`: then all works that needs no content.
- One `SqlTransaction` serves both databases; only insert-unless-there, upserts and row locks differ.
- What a function does within `Store.run` is committed together or not at all, and may be run again.
- No exception or text of a driver leaves this room: drivers put values into them.
"""

from broker.storage.at_rest import AtRest, Cipher, locked
from broker.storage.encrypting import encrypt_clear
from broker.storage.opening import keep_trust, kept_trust, kept_trust_memory, last_written, open_store
from broker.storage.schema import check, is_empty, migrate, shown

__all__ = [
    "AtRest", "Cipher", "check", "encrypt_clear", "is_empty", "keep_trust", "kept_trust", "kept_trust_memory", "last_written",
    "locked", "migrate", "open_store", "shown",
]  # fmt: skip
