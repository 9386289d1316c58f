# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is sealed to one office: made and opened at the office's edge, held to its form by nodes that cannot read it.

- `sealing` and `opening` run where an office works, in a process that is no node; `checking` runs in nodes and has no key.
- The inside is held against the schema that the message's own schema names, before it is sealed and after it is opened.
- Files are sealed before they are uploaded, so that a node's upload holds nothing but ciphertext.
"""
