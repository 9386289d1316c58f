# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How a node's settings are read and refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from broker.core.errors import HomeInvalid, SettingsInvalid
from broker.manual import settings_table
from broker.settings import AdapterSettings, Ladder, Settings

SECRET = "geheim-4711"
LEAST = 'country = "EE"\nspool_folder = "spool"\n'


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own TRM_ variables do not reach these tests."""
    import os

    for name in [name for name in os.environ if name.startswith("TRM_")]:
        monkeypatch.delenv(name)


def load(home: Path, text: str = LEAST) -> Settings:
    """Return the settings of a home folder with that file."""
    (home / "settings.toml").write_text(text, encoding="utf-8")
    return Settings.load(home)


def test_least_file_gives_defaults_in_the_home_folder(tmp_path: Path) -> None:
    """Country and spool folder are enough; everything else has a default inside the home folder."""
    settings = load(tmp_path)

    assert settings.country == "EE"
    assert settings.store_url == f"sqlite:///{tmp_path / 'trm.db'}"
    assert settings.trust_source == str(tmp_path / "trust" / "repository")
    assert settings.spool_folder == tmp_path / "spool"
    assert settings.envelope_days == 30
    assert settings.ladder == Ladder()
    assert settings.vault_file == tmp_path / "vault.json"


def test_absolute_path_stays(tmp_path: Path) -> None:
    """A path that does not start at the home folder is taken as it is."""
    settings = load(tmp_path, LEAST + 'trust.source = "/srv/trust.zip"\n')

    assert settings.trust_source == "/srv/trust.zip"


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ("sqlite:///trm.db", "sqlite:///{home}/trm.db"),
        ("sqlite:///data/trm.db", "sqlite:///{home}/data/trm.db"),
        ("sqlite:////srv/trm.db", "sqlite:////srv/trm.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("postgresql:///trm", "postgresql:///trm"),
    ],
)
def test_the_database_starts_at_the_home_folder_too(tmp_path: Path, stated: str, meant: str) -> None:
    """A command called in any folder works on the node's own database, and never on an empty one of that folder."""
    assert load(tmp_path, LEAST + f'store_url = "{stated}"\n').store_url == meant.format(home=tmp_path)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('default_authority = "Bad Office"', "an office's id"),
        ('adapters.drop.authorities = ["Bad Office"]', "an office's id"),
        ("default_authority = 3", "an office's id"),
    ],
)
def test_a_wrong_office_is_told_in_words(tmp_path: Path, line: str, word: str) -> None:
    """Whoever mends the file reads what form is meant, not what a program calls it."""
    with pytest.raises(SettingsInvalid) as caught:
        load(tmp_path, f"{line}\n{LEAST}")
    assert caught.value.detail.startswith("This is not")
    assert word in caught.value.detail


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Nobody changes a setting while the node runs."""
    settings = load(tmp_path)

    with pytest.raises(ValueError, match="frozen"):
        settings.envelope_days = 1  # type: ignore[misc]
    assert settings.envelope_days == 30


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ('country = "EE"\n', "", "spool_folder"),
        ('spool_folder = "s"\n', "country", "needed"),
        (LEAST + 'colour = "red"\n', "colour", "no such setting"),
        (LEAST + "envelope_days = 61\n", "envelope_days", "less than or equal to 60"),
        (LEAST + "envelope_days = 0\n", "envelope_days", "greater than or equal to 1"),
        (LEAST + 'transport = "pigeon"\n', "transport", "'spool' or 'rabbitmq'"),
        (LEAST + 'transport = "rabbitmq"\n', "", "amqp_url"),
        (LEAST + 'token_issuer = "https://issuer.example"\n', "", "token_jwks_url"),
        (LEAST + 'home = "/elsewhere"\n', "", "cannot be set here"),
        (LEAST + "[ladder]\nopened_warn_hours = 40\n", "ladder", "`opened_warn_hours` is more"),
        (LEAST + "[ladder]\nopened = 40\n", "ladder.opened", "no such setting"),
        (LEAST + "[adapters.filedrop]\nauthorities = []\n", "adapters.filedrop.authorities", "at least 1"),
        (LEAST + '[adapters.a]\nauthorities = ["x"]\n[adapters.b]\nauthorities = ["x"]\n', "", "same office"),
        ('country = "UK"\nspool_folder = "s"\n', "country", "country's code"),
        ("country = \n", "", "line 1"),
        ("country = " + "9" * 5_000, "", "not TOML"),
    ],
)
def test_impossible_file_is_refused_with_file_key_and_reason(tmp_path: Path, text: str, where: str, said: str) -> None:
    """Each wrong file names itself, the key, and what is wrong with it."""
    with pytest.raises(SettingsInvalid) as raised:
        load(tmp_path, text)

    assert said in raised.value.detail
    assert raised.value.where == f"{tmp_path / 'settings.toml'}{': ' if where else ''}{where}"


@pytest.mark.parametrize(
    "text",
    [
        LEAST + f'amqp_url = ["{SECRET}"]\n',
        LEAST + f'envelope_days = "{SECRET}"\n',
        LEAST + f'[adapters.filedrop]\nauthorities = ["{SECRET}!"]\npassword = "{SECRET}"\n',
        LEAST + f'amqp_url = "{SECRET}\n',
        f'transport = "{SECRET}"\n' + LEAST,
    ],
)
def test_error_never_shows_a_value(tmp_path: Path, text: str) -> None:
    """What stands in the file can be a secret and is not repeated."""
    with pytest.raises(SettingsInvalid) as raised:
        load(tmp_path, text)

    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_repr_never_shows_a_secret(tmp_path: Path) -> None:
    """Addresses with passwords and adapters' options are not in the text form."""
    text = LEAST + (
        f'store_url = "postgresql://u:{SECRET}@db/trm"\namqp_url = "amqp://u:{SECRET}@mq/"\n'
        f'[adapters.ours]\nauthorities = ["x"]\npassword = "{SECRET}"\n'
    )
    settings = load(tmp_path, text)

    assert SECRET not in repr(settings)
    assert settings.adapters["ours"].options == {"password": SECRET}


def test_environment_wins_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRM_ variables replace single settings, also inside a table, and leave the rest of it."""
    monkeypatch.setenv("TRM_ENVELOPE_DAYS", "7")
    monkeypatch.setenv("TRM_LADDER__OPENED_WARN_HOURS", "2")
    monkeypatch.setenv("TRM_ADAPTERS", '{"filedrop": {"authorities": ["x"], "folder": "/drop"}}')

    settings = load(tmp_path, LEAST + "envelope_days = 20\n[ladder]\nopened_fail_hours = 30\n")

    assert settings.envelope_days == 7
    assert (settings.ladder.opened_warn_hours, settings.ladder.opened_fail_hours) == (2, 30)
    assert settings.adapters["filedrop"].options == {"folder": "/drop"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRM_ENVELOPE_DAYS", SECRET), ("TRM_COLOUR", SECRET), ("TRM_ADAPTERS", "{" + SECRET)],
)
def test_wrong_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A variable that is unknown or impossible stops the node, named but not shown."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsInvalid) as raised:
        load(tmp_path)

    assert (raised.value.where or "").startswith("environment")
    assert SECRET not in str(raised.value)


def test_home_from_the_environment_does_not_move_a_given_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRM_HOME is for the command line; `load` takes the folder that it is given."""
    monkeypatch.setenv("TRM_HOME", "/elsewhere")

    assert load(tmp_path).home == tmp_path


def test_missing_home_and_missing_file_say_what_to_do(tmp_path: Path) -> None:
    """Without a node there, the sentence names the command that makes one."""
    with pytest.raises(HomeInvalid, match="trm init"):
        Settings.load(tmp_path / "nowhere")
    with pytest.raises(SettingsInvalid, match="trm init"):
        Settings.load(tmp_path)


def test_another_accounts_home_is_not_worked_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command reads the settings first: by root none leaves files that the node's account cannot read."""
    load(tmp_path)
    if os.geteuid() == 0:
        os.chown(tmp_path, 54321, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(HomeInvalid, match="and root runs this command"):
        Settings.load(tmp_path)


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8, a folder and an endless file are settings errors."""
    file = tmp_path / "settings.toml"
    file.write_bytes(b"country = '\xff'\n")
    with pytest.raises(SettingsInvalid, match="UTF-8"):
        Settings.load(tmp_path)
    file.write_bytes(b"#" * (256 * 1024 + 1))
    with pytest.raises(SettingsInvalid, match="too large"):
        Settings.load(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        Settings.load(tmp_path)


def test_amqp_password_comes_from_its_file(tmp_path: Path) -> None:
    """The password file replaces what the address says, escaped for an address."""
    (tmp_path / "mq").write_text("p@ss/wörd\n", encoding="utf-8")
    text = 'country = "EE"\ntransport = "rabbitmq"\namqp_url = "amqps://ee:old@mq.example:5671/trm"\n'

    assert load(tmp_path, text).amqp_address() == "amqps://ee:old@mq.example:5671/trm"
    with_file = load(tmp_path, text + 'amqp_password_file = "mq"\n')
    assert with_file.amqp_address() == "amqps://ee:p%40ss%2Fw%C3%B6rd@mq.example:5671/trm"


def test_missing_amqp_password_file_is_a_settings_error(tmp_path: Path) -> None:
    """An address without its password file cannot be made, and neither can one out of nothing."""
    text = 'country = "EE"\ntransport = "rabbitmq"\namqp_url = "amqp://ee@mq/"\namqp_password_file = "mq"\n'

    with pytest.raises(SettingsInvalid) as raised:
        load(tmp_path, text).amqp_address()
    assert raised.value.where == str(tmp_path / "mq")
    with pytest.raises(SettingsInvalid, match="amqp_url"):
        load(tmp_path).amqp_address()


def test_adapter_table_keeps_its_own_options_apart() -> None:
    """Offices and entry point are the node's, the rest is the adapter's."""
    table = AdapterSettings.model_validate({"authorities": ["x"], "use": "filedrop", "folder": "/drop"})

    assert (table.authorities, table.use, table.options) == (("x",), "filedrop", {"folder": "/drop"})


def test_at_most_25_settings_each_with_one_sentence() -> None:
    """The table of settings has a row for each, with default and a sentence."""
    rows = settings_table().splitlines()[2:]

    assert len(rows) == len(Settings.model_fields) <= 25
    for row, name in zip(rows, Settings.model_fields, strict=True):
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert cells[0] == f"`{name}`"
        assert len(cells) == 4
        assert all(cells)
        assert cells[3].endswith(".")
