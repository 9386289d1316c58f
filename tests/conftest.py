# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Services that tests share."""

pytest_plugins = ["broker.testing.pytest_postgres", "broker.testing.pytest_rabbitmq", "broker.testing.pytest_world"]
