# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the file-drop adapter is, how it is set up, and what it does with data."""

from __future__ import annotations

from broker.adapter_api import Manifest, Option

__all__ = ["MANIFEST"]

MANIFEST = Manifest(
    name="filedrop",
    version="1.0",
    description="Received messages land as one JSON file each; a JSON file put into the outgoing folder is submitted.",
    options={
        "folder": Option(
            meaning="The folder that holds in/, out/, sent/ and rejected/; absolute, on one encrypted file system.",
            kind=str,
            unit="path",
        ),
        "poll_seconds": Option(
            meaning="How often out/ is looked at; a file is taken when it has not changed between two looks.",
            kind=int,
            unit="seconds",
            default=2,
            minimum=1,
        ),
        "max_file_bytes": Option(
            meaning="The largest file that is read; a larger one is rejected.",
            kind=int,
            unit="bytes",
            default=1_048_576,
            minimum=1024,
        ),
        "group_access": Option(
            meaning="Whether the folder's group may read what lands in it and put files into out/.",
            kind=bool,
            default=False,
        ),
    },
    retention="The national system empties in/, sent/ and rejected/; the adapter deletes from in/ and sent/ what the node erases.",
    personal_data_at_rest="Whole messages in clear in all four folders; the file system must be encrypted.",
)
