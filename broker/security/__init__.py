# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Cryptography over given keys and bytes; pure except for the fresh keys and nonces drawn inside `sealing.seal`.

- `envelope.py` is the wire format and never sees a key; `sealing.py` seals, opens, verifies and never sees syntax.
- One suite per envelope version; no negotiation, no options.
"""
