# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What goes on in a node that runs; `broker/node.py` starts and stops all of it.

- `loops.py`: how its tasks wait and go on.
- `receiving.py` feeds deliveries to the receive flow.
- `adapters.py` runs the adapters, each under its own supervisor.
- `vitals.py` asks the node's own health checks.
"""

__all__: list[str] = []
