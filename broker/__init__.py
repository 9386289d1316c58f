# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The transnational referral message broker: one country's node.

Rooms and what each may import are listed in `pyproject.toml` (import contracts) and explained in `broker/README.md`.
"""
