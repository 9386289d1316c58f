# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Country adapters. Each imports `broker.adapter_api` and nothing else of the broker."""
