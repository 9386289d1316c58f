# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A node's settings: read once from ``<home>/settings.toml`` and the environment, then frozen and passed down.

- Every setting has a default or is asked for, a unit and one sentence; the table in the manual is made from them.
- ``TRM_<SETTING>`` in the environment wins over the file; tables as JSON or ``TRM_LADDER__OPENED_WARN_HOURS``.
- Unknown keys are refused: a misspelt safeguard that is silently ignored is worse than a node that does not start.
- Errors name file, key and what is wrong, never a value: values can be secrets.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from broker.core.errors import HomeInvalid, SettingsInvalid
from broker.core.ids import AuthorityId, CountryCode
from broker.ownership import check_owner
from broker.store_address import sqlite_url, store_in

__all__ = ["FILE_NAME", "TOKEN_KEY_FILE", "AdapterSettings", "Ladder", "Settings", "Trust"]

TOKEN_KEY_FILE = "token-key.pem"  # noqa: S105  a file name
FILE_NAME = "settings.toml"
_PREFIX = "TRM_"
_COMMAND_LINE = ("TRM_HOME", "TRM_DEBUG")  # which home folder, and whether to show tracebacks: the command line's own
_TEST_SUITE = "TRM_TEST_"
_MAX_FILE_BYTES = 256 * 1024


def _in_home(value: Path | None, info: ValidationInfo) -> Path | None:
    home = info.data.get("home")
    return value if value is None or home is None else Path(home) / value


def _store_in_home(value: str, info: ValidationInfo) -> str:
    home = info.data.get("home")
    return value if home is None else store_in(Path(home), value)


def _country(value: Any) -> CountryCode:
    try:
        return CountryCode(value)
    except ValueError:
        raise ValueError("this is not a country's code, like FI: two capital letters") from None


def _office(value: Any) -> AuthorityId:
    try:
        return AuthorityId(value)
    except ValueError:
        raise ValueError("this is not an office's id, like tracing-office: small letters, digits, hyphens") from None


_Country = Annotated[CountryCode, BeforeValidator(_country)]
_Office = Annotated[AuthorityId, BeforeValidator(_office)]
_Path = Annotated[Path, AfterValidator(_in_home)]
_OptionalPath = Annotated[Path | None, AfterValidator(_in_home)]
_Hours = Annotated[float, Field(gt=0, le=24 * 60)]


def _setting(default: Any, description: str, *, unit: str = "", shown: str = "", **more: Any) -> Any:
    """Return a field whose default is a value, ``...`` (asked for) or a function of the settings before it."""
    extra: JsonDict = {"unit": unit, "shown": shown}
    if callable(default):
        return Field(default_factory=default, description=description, json_schema_extra=extra, **more)
    return Field(default, description=description, json_schema_extra=extra, **more)


class Ladder(BaseModel):
    """How long each step of the evidence ladder may take before a person is warned, and before it counts as failed.

    `deadline_soon_hours`: how long before the end of a procedure's deadline a person is told that it is due soon.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    delivered_warn_hours: _Hours = 1
    delivered_fail_hours: _Hours = 12
    handed_over_warn_hours: _Hours = 12
    handed_over_fail_hours: _Hours = 24
    opened_warn_hours: _Hours = 24
    opened_fail_hours: _Hours = 36
    deadline_soon_hours: _Hours = 72

    @model_validator(mode="after")
    def _warn_before_fail(self) -> Self:
        for step in ("delivered", "handed_over", "opened"):
            if getattr(self, f"{step}_warn_hours") > getattr(self, f"{step}_fail_hours"):
                raise ValueError(f"`{step}_warn_hours` is more than `{step}_fail_hours`")
        return self


class Trust(BaseModel):
    """Where the trust list comes from, and how long sending goes on after it ran out."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    source: str = Field("trust/repository", min_length=1)
    grace_days: int = Field(14, ge=0, le=90)


class AdapterSettings(BaseModel):
    """One ``[adapters.<name>]`` table: which offices it serves, and the adapter's own options."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True, arbitrary_types_allowed=True)

    authorities: tuple[_Office, ...] = Field(min_length=1)
    use: str | None = None  # entry point of the adapter; None: the table's name

    @property
    def options(self) -> Mapping[str, Any]:
        """What the table holds besides ``authorities`` and ``use``; the adapter checks it."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show no option: it can be a secret of the national system."""
        yield from (("authorities", self.authorities), ("use", self.use))


class Settings(BaseSettings):
    """Everything that can be chosen about a node."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=_PREFIX, env_nested_delimiter="__",
        hide_input_in_errors=True, arbitrary_types_allowed=True, validate_default=True,
    )  # fmt: skip

    home: Path = _setting(
        ..., "Folder with everything of this node; relative paths in other settings start here.", shown="asked for"
    )
    country: _Country = _setting(
        ..., "The country whose node this is, ISO 3166-1 alpha-2.", unit="code", shown="asked for"
    )
    default_authority: _Office | None = _setting(
        None, "Office that the command line speaks for when none is named.", unit="office"
    )
    store_url: Annotated[str, AfterValidator(_store_in_home)] = _setting(
        lambda data: sqlite_url(data["home"] / "trm.db"),
        "Database: SQLite file or PostgreSQL address.",
        unit="URL", shown="`trm.db` in the home folder (SQLite)", repr=False,
    )  # fmt: skip
    transport: Literal["spool", "rabbitmq"] = _setting(
        "spool", "What carries envelopes between countries: a shared folder or RabbitMQ."
    )
    spool_folder: _OptionalPath = _setting(
        None, "The shared folder of the spool transport; needed when `transport` is `spool`.", unit="path"
    )
    amqp_url: SecretStr | None = _setting(
        None, "Address of RabbitMQ; needed when `transport` is `rabbitmq`.", unit="URL, secret"
    )
    amqp_password_file: _OptionalPath = _setting(
        None, "File with the RabbitMQ password, so that `amqp_url` need not hold it.", unit="path"
    )
    amqp_tls_folder: _Path = _setting(
        lambda data: data["home"] / "broker-tls",
        "Where `trm broker certificate` keeps this node's certificate for an address that begins with amqps.",
        unit="path", shown="`broker-tls` in the home folder",
    )  # fmt: skip
    trust: Trust = _setting(
        Trust, "Where the federation's trust list comes from (`source`: https address, directory, or `.zip` bundle), "
        "and how many days after it ran out sending goes on (`grace_days`).",
        unit="table", shown="`trust/repository` in the home folder, 14 days",
    )  # fmt: skip
    catalogue_folder: _OptionalPath = _setting(
        None, "Folder with message schemas and procedure tables, instead of the shipped ones; "
        "used where the trust list names no catalogue.", unit="path",
    )  # fmt: skip
    passphrase_file: str | None = _setting(
        None,
        "Where the vault's passphrase comes from: a file, `fd:N`, `credential:NAME` (systemd) or `prompt`; "
        "not set: the credential `trm-passphrase` where systemd gives it, else a prompt.",
        unit="path or source",
    )
    hsm_library: _OptionalPath = _setting(
        None, "PKCS#11 library of the HSM that holds the vault's wrapping key; the PIN comes from `passphrase_file`.",
        unit="path",
    )  # fmt: skip
    api_host: str = _setting("127.0.0.1", "Address that the HTTP API listens on.", unit="host", min_length=1)
    api_port: int = _setting(8350, "Port of the HTTP API; 0 takes any free one.", unit="port", ge=0, le=65535)
    token_issuer: str | None = _setting(
        None, "Issuer of access tokens; not set: this node issues its own (`trm` does so).", unit="URL"
    )
    token_jwks_url: str | None = _setting(
        None, "Where the issuer's public keys are; needed with `token_issuer`.", unit="URL"
    )
    token_audience: str = _setting("trm", "Audience that an access token must name.", min_length=1)
    adapters: dict[str, AdapterSettings] = _setting(
        dict, "One table per adapter: `authorities` it serves, `use` (entry point), and its own options.",
        unit="tables", shown="none: officers use the API and `trm`",
    )  # fmt: skip
    envelope_days: int = _setting(30, "How long a sealed envelope may travel.", unit="days", ge=1, le=60)
    ladder: Ladder = _setting(
        Ladder, "When a person is warned (and when it counts as failed) that delivery, handing over or opening is late, "
        "and how long before its end a deadline is due soon.",
        unit="hours", shown="1 / 12, 12 / 24, 24 / 36; soon 72",
    )  # fmt: skip
    max_request_bytes: int = _setting(
        1_048_576, "Largest request body that the HTTP API takes.", unit="bytes", ge=16_384, le=8_388_608
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting("INFO", "Least severe event that is logged.")
    concurrency: int = _setting(
        16, "How many received messages are worked on at the same time.", unit="messages", ge=1, le=256
    )
    compute_threads: int = _setting(
        2, "Threads that seal and open envelopes; more than the processor has cores gains nothing.",
        unit="threads", ge=1, le=64,
    )  # fmt: skip

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what the constructor is given: `load` alone reads file and environment."""
        return (init_settings,)

    @classmethod
    def load(cls, home: Path) -> Settings:
        """Return the settings of that home folder, the environment's over the file's.

        Raises:
            HomeInvalid: there is no such folder, or it is another account's.
            SettingsInvalid: file or environment cannot be read or say something impossible.
        """
        home = home.absolute()
        try:
            if not home.is_dir():
                raise HomeInvalid("The home folder does not exist; `trm init` makes one.", where=str(home))
            check_owner(home)
        except OSError as error:
            raise HomeInvalid(f"The home folder cannot be used ({type(error).__name__}).", where=str(home)) from None
        stated = _merged(_read_toml(home / FILE_NAME), _read_environment(cls))
        return cls.checked(home, stated)

    @classmethod
    def checked(cls, home: Path, stated: Mapping[str, Any]) -> Settings:
        """Return the settings that a file of that home folder with these keys would give.

        Raises:
            SettingsInvalid: they say something impossible.
        """
        file = home / FILE_NAME
        if "home" in stated:
            raise SettingsInvalid("The home folder cannot be set here; it is the folder of this file.", where=str(file))
        try:
            return cls(**stated, home=home)
        except ValidationError as error:
            raise _explained(error, file) from None  # its text may hold values

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.transport == "spool" and self.spool_folder is None:
            raise ValueError("`spool_folder` is needed when `transport` is `spool`")
        if self.transport == "rabbitmq" and self.amqp_url is None:
            raise ValueError("`amqp_url` is needed when `transport` is `rabbitmq`")
        if (self.token_issuer is None) != (self.token_jwks_url is None):
            raise ValueError("`token_issuer` and `token_jwks_url` are set together or not at all")
        served = [office for adapter in self.adapters.values() for office in adapter.authorities]
        if len(served) != len(set(served)):
            raise ValueError("two adapters serve the same office")
        return self

    @property
    def file(self) -> Path:
        """Where the settings stand."""
        return self.home / FILE_NAME

    @property
    def vault_file(self) -> Path:
        """Where the private keys stand, encrypted."""
        return self.home / "vault.json"

    @property
    def trust_root_file(self) -> Path:
        """Where the root of the trust list stands that was pinned by hand."""
        return self.home / "trust" / "root.json"

    @property
    def trust_source(self) -> str:
        """An https address, or the path of a directory or bundle."""
        return self.trust.source if "://" in self.trust.source else str(self.home / self.trust.source)

    @property
    def token_key_file(self) -> Path:
        """Where the key of this node's own access tokens stands."""
        return self.home / TOKEN_KEY_FILE

    def amqp_address(self) -> str:
        """Return the address of RabbitMQ with the password in it: a secret.

        Raises:
            SettingsInvalid: there is no address, or the password file cannot be read.
        """
        if self.amqp_url is None:
            raise SettingsInvalid("`amqp_url` is not set.", where=f"{self.file}: amqp_url")
        parts = urlsplit(self.amqp_url.get_secret_value())
        if self.amqp_password_file is None:
            return parts.geturl()
        try:
            password = self.amqp_password_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise SettingsInvalid("The password file cannot be read.", where=str(self.amqp_password_file)) from None
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(
            parts._replace(netloc=f"{quote(parts.username or 'guest')}:{quote(password, safe='')}@{host}")
        )


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise SettingsInvalid("There is no settings file; `trm init` makes one.", where=str(file)) from None
    except OSError as error:
        raise SettingsInvalid(f"The settings file cannot be read ({type(error).__name__}).", where=str(file)) from None
    if len(raw) > _MAX_FILE_BYTES:
        raise SettingsInvalid("The settings file is too large to be one.", where=str(file))
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise SettingsInvalid("The settings file is not UTF-8.", where=str(file)) from None
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        place = re.search(r"\(at (line \d+, column \d+|end of document)\)\Z", str(error))
        detail = f"The settings file is not TOML ({place.group(1) if place else 'place unknown'})."
        raise SettingsInvalid(detail, where=str(file)) from None


def _read_environment(settings: type[Settings]) -> dict[str, Any]:
    for name in os.environ:
        known = name.removeprefix(_PREFIX).split("__")[0].lower() in settings.model_fields
        if name.startswith(_PREFIX) and not (known or name in _COMMAND_LINE or name.startswith(_TEST_SUITE)):
            raise SettingsInvalid("There is no such setting.", where=f"environment: {name}")
    try:
        stated = EnvSettingsSource(settings)()
    except SettingsError:
        raise SettingsInvalid("A table in the environment is not JSON.", where="environment") from None
    stated.pop("home", None)  # TRM_HOME is read by the command line, which passes the folder in
    return stated


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, tables joined, the second winning."""
    result = dict(below)
    for name, value in above.items():
        under = result.get(name)
        result[name] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return result


def _explained(error: ValidationError, file: Path) -> SettingsInvalid:
    """Return our error about the first thing that is wrong, without any value."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = [str(part) for part in first["loc"]]
    where = f"{file}: {'.'.join(path)}" if path else str(file)
    if path and any(name.startswith(f"{_PREFIX}{path[0].upper()}") for name in os.environ):
        where = f"environment: {_PREFIX}{path[0].upper()}"
    sentences = {"extra_forbidden": "There is no such setting.", "missing": "This setting is needed."}
    said = first["msg"].removeprefix("Value error, ")
    return SettingsInvalid(sentences.get(first["type"], f"{said[:1].upper()}{said[1:]}."), where=where)
