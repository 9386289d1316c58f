# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Cryptography over given keys and bytes; pure except for the fresh keys and nonces drawn where something is encrypted.

- `envelope.py` is the wire format and never sees a key; `sealing.py` seals, opens, verifies and never sees syntax.
- `at_rest.py` knows the keys of cases and epochs; what is stored and when lies with `broker/storage`.
- One suite per envelope version; no negotiation, no options.
"""
