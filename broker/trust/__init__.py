# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who is trusted: a TUF repository that no one person can change, and how a node reads it.

- `repository` edits it: stage, show, sign officer by officer, publish; the ceremonies of the command line use it.
- `client` reads it: TUF's own Updater verifies, nothing here verifies a signature; out comes one value.
- `source` keeps that value in the node's database: the running node reads only what is stored.
- Documents are read strictly: what is unknown, missing or there twice is refused with its place.
- `tuf` is imported inside this room only, and no module of a node imports it before it is needed.
"""
