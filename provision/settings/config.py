"""Settings: environment, `.env`, secrets from files. A wrong value stops the start and names the variable."""

import os
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict
from sqlalchemy import make_url

from provision.core.errors import InvalidInput
from provision.core.networks import Networks, parse_networks
from provision.core.policy import Policy


class Settings(Policy, BaseSettings):
    """Every variable begins with `POSTROOM_`, e.g. `POSTROOM_DATABASE_URL`. The rules of `Policy` are settings, too."""

    # Compose keeps names of its own in `.env`, so foreign ones are no mistake; `_misspelt` looks for what is.
    model_config = SettingsConfigDict(
        env_prefix="POSTROOM_",
        env_file=os.environ.get("POSTROOM_ENV_FILE", ".env"),
        dotenv_filtering="only_existing",
        env_ignore_empty=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(Path("data"), description="folder of the SQLite database, the key and the locks")
    config_dir: Path | None = Field(None, description="config volume of the mail server that is set up at first start")
    container: str = Field("", description="or its container, to work by docker exec")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in the data folder")
    database_password_file: Path | None = Field(None, description="file with the password that goes into the URL")
    secret_key_file: Path | None = Field(None, description="key that seals undelivered passwords; made at first start")
    log_key_file: Path | None = Field(None, description="key that the log's chain is made with; made at first start")
    page_budget_seconds: float = Field(10.0, gt=0, le=60, description="longest a page waits for the mail server")
    internal_domains: str = Field(
        "", description="endings of domains that are used inside and may be added, e.g. local home.arpa; empty: none"
    )
    session_idle_minutes: int = Field(30, ge=1, description="a sign-in ends after this long without a click")
    session_max_hours: int = Field(12, ge=1, description="a sign-in ends after this long in any case")
    sign_in_attempts: int = Field(5, ge=1, description="wrong passwords in a row that lock an account name")
    sign_in_attempts_per_ip: int = Field(20, ge=1, description="wrong passwords from one address that lock it out")
    sign_in_lock_minutes: int = Field(15, ge=1, description="how long a lock lasts, and how long failures count")
    operator_hash_cost: int = Field(12, ge=4, le=16, description="cost of bcrypt for the passwords of operators")

    jobs: bool = Field(True, description="deliver in the background of this process; false where workers do it")
    log_format: Literal["text", "json"] = Field("text", description="how the server's log is written: text or json")
    log_retention_days: int = Field(
        0, ge=0, description="older records of the provision log are moved to a file; 0: never"
    )

    allowed_networks: str = Field(
        "",
        validation_alias=AliasChoices("POSTROOM_ALLOWED_NETWORKS", "ALLOWED_NETWORKS"),
        description="networks that may use this, e.g. 10.0.0.0/8 192.0.2.7; empty: all",
    )
    trusted_proxies: str = Field("", description="networks of proxies whose X-Forwarded-For is believed; empty: none")
    api_calls_per_minute: int = Field(1200, ge=1, description="calls of the API by one token, and by one address")
    api_verifications_per_minute: int = Field(10, ge=1, description="password checks by one token, and of one mailbox")

    @field_validator("allowed_networks", "trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @property
    def internal_endings(self) -> tuple[str, ...]:
        return tuple(part.strip(".").lower() for part in self.internal_domains.replace(",", " ").split())

    @property
    def networks(self) -> Networks:
        return parse_networks(self.allowed_networks)

    @property
    def proxies(self) -> Networks:
        return parse_networks(self.trusted_proxies)

    @field_validator("database_password_file")
    @classmethod
    def _can_be_read(cls, value: Path | None) -> Path | None:
        if value:
            _secret_in(value)
        return value

    @property
    def url(self) -> str:
        if not self.database_url or not self.database_password_file:
            return self.database_url or f"sqlite:///{self.data_dir / 'postroom.db'}"
        url = make_url(self.database_url).set(password=_secret_in(self.database_password_file))
        return url.render_as_string(hide_password=False)

    @property
    def key_file(self) -> Path:
        return self.secret_key_file or self.data_dir / "secret.key"

    @property
    def chain_key_file(self) -> Path:
        return self.log_key_file or self.data_dir / "log.key"


def _secret_in(file: Path) -> str:
    """Raises: ValueError."""
    try:
        return file.read_text("utf-8").strip("\n")
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None


def variables(name: str) -> tuple[str, ...]:
    """The environment's names of a setting; the README has the last one."""
    known = Settings.model_fields[name].validation_alias
    return tuple(map(str, known.choices)) if isinstance(known, AliasChoices) else (f"POSTROOM_{name.upper()}",)


@cache
def get_settings() -> Settings:
    """Raises: InvalidInput naming each variable that is wrong."""
    wrong = [f"{name}: there is no such setting" for name in _misspelt()]
    try:
        settings = Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        wrong += [f"{_variable(e['loc'])}: {e['msg']}" for e in error.errors()]
    if wrong:
        raise InvalidInput(f"A setting is wrong. {'; '.join(wrong)}")
    return settings


def _misspelt() -> list[str]:
    """What stands in `.env` as if it were ours, and is not."""
    known = {variable.lower() for name in Settings.model_fields for variable in variables(name)}
    found = DotEnvSettingsSource(Settings).env_vars  # in small letters
    return [name.upper() for name in found if name.startswith("postroom_") and name not in known]


def _variable(place: tuple[int | str, ...]) -> str:
    """pydantic names the field, or one of the variables."""
    return variables(str(place[0]).lower().removeprefix("postroom_"))[-1]
