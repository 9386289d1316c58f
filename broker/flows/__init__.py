# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Use cases, one module each: a recipe of at most 40 lines. Flows never import each other; they meet in the store."""
