# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Backups of a node that runs, and making a node anew from them.

- Two files, never one: *data* (tables, attachments, settings), of which as many are kept as one likes, and *keys* (the
  table of case keys, the vault), of which only the newest: so an erased case is in no backup that could still be opened.
- Both are encrypted to recovery keys whose private halves officers keep offline: neither a thief nor the node itself can
  read an older backup. Both are signed by the node: nobody else can make one that is taken.
- A file is read back whole, digest by digest, before anybody hears that it is there.
- Nothing is ever restored over something, or beside a node that runs.
"""
