# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm trust …`: the ceremonies by which countries come to trust each other's keys."""
