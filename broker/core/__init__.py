# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is true whatever the technology: identifiers, message stages, record, delivery, trust.

- Standard library only (and orjson in `canonical.py`, the one named exception).
- No I/O, no clock, no random, no async: bytes and values in, values out.
"""
