# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What schemathesis must be told of our API: a part of a file is plain bytes."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from broker.api.attachments import BYTES_TYPE

__all__: list[str] = []

schemathesis.openapi.media_type(BYTES_TYPE, st.binary(max_size=4096))
