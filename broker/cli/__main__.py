# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m broker.cli` is `trm`, also where no script is installed."""

import sys

from broker.cli import main

__all__: list[str] = []

sys.exit(main())
