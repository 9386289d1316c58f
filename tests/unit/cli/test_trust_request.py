# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm trust request`: what a country's operator is told."""

import pytest


@pytest.mark.parametrize(("officers", "warned"), [(1, True), (2, False)])
def test_a_country_whose_one_officer_decides_is_told_so(trm, home, tmp_path, officers, warned):
    """The request is made all the same: the federation's officers see the number before they sign."""
    secret = tmp_path / "passphrase"
    secret.write_text("a passphrase of these tests")
    secret.chmod(0o600)
    keys = [tmp_path / f"{number}.key" for number in range(officers)]
    assert trm("trust", "officer-key", "EE", *keys, "--passphrase-file", secret).code == 0
    named = [word for key in keys for word in ("--key", key, "--officer", f"{key}.public.json")]

    out = tmp_path / "joining.json"
    ran = trm("trust", "request", "--home", home, "--out", out, *named, "--passphrase-file", secret)
    assert (ran.code, out.exists()) == (0, True)
    assert ("TAKE CARE: one officer alone" in ran.out) is warned
