# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Message schemas and procedure tables as data: what a message of a type and version must look like.

- Pure: bytes in, values out. `broker/schema_files.py` reads the files.
- `jsonschema-rs` decides; `jsonschema` is imported only to explain a refusal to a person. The dialect (`dialect.py`)
  leaves out everything in which the two differ; a schema outside it is not loaded.
- The same function holds outbound and inbound messages against the same schema of that exact type and version.
- An explanation names the place and the rule, never a value or a member name of the message (promise P5).
- `ValidMessage` is built here alone.
- What things are called in seven languages (`labels.py`) is read language by language, when somebody asks for one.
"""

from __future__ import annotations

from broker.catalogue.checking import Catalogue
from broker.catalogue.explaining import Problem
from broker.catalogue.labels import Label, Labels

__all__ = ["Catalogue", "Label", "Labels", "Problem"]
