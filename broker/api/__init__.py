# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON API, version 1: aiohttp, problem documents (RFC 9457), OpenAPI 3.1."""
