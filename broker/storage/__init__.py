# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store on SQLite (embedded default) and PostgreSQL, in SQLAlchemy Core statements built once at import.

- `migrate(url)` brings a database to this program's schema; `open_store(url, us=…)` refuses any other.
- One `SqlTransaction` serves both databases; only insert-unless-there, upserts and row locks differ.
- What a function does within `Store.run` is committed together or not at all, and may be run again.
- No exception or text of a driver leaves this room: drivers put values into them.
"""

from broker.storage.opening import keep_trust, kept_trust, kept_trust_memory, open_store
from broker.storage.schema import check, migrate

__all__ = ["check", "keep_trust", "kept_trust", "kept_trust_memory", "migrate", "open_store"]
