# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keep a case as long as it is needed, and then erase it for good: two persons, a reason, a trace (GDPR 17-19, LED 5, 16).

- Nothing is erased by itself but exercises, a fixed time after the drill (R-40).
- What is decided is one transaction; what lies outside of the database is removed afterwards, until it is confirmed.
- A case is what one key covers: the procedures under one case reference towards one country.
"""

from __future__ import annotations

__all__: list[str] = []
