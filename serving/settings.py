"""Settings of the service, from the environment (``SMARKETING_...``) or from the `serve` command."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _beside(store: str) -> Path:
    return Path("smarketing.bundles") if "://" in store else Path(store).with_name("smarketing.bundles")


class Settings(BaseSettings):
    """What the service needs to know before it starts; built once and passed down."""

    model_config = SettingsConfigDict(env_prefix="SMARKETING_", frozen=True, extra="forbid")

    store: str = Field(default="smarketing.db", description="The ledger: a SQLite file or a database address")
    cache: Path = Field(
        default_factory=lambda told: _beside(told["store"]),
        description="Folder of the models, filled by the refresher; beside the store unless given",
    )
    agreement: Path | None = Field(default=None, description="The agreement; none means the built-in defaults")
    refresh: bool = Field(default=False, description="Keep that folder filled from the registry, in a child process")
    api_key: SecretStr | None = Field(default=None, description="A key with every scope, beside those on file")
    keys: Path | None = Field(default=None, description="File of hashed keys; beside the store unless given")
    max_body_bytes: int = Field(default=1_000_000, gt=0, description="Largest request body")
    max_json_depth: int = Field(default=10, gt=0, description="Deepest nesting of a request body")
    max_rows: int = Field(default=2_500, gt=0, description="Most rows in one request")
    cached_accounts: int = Field(default=10_000, gt=0, description="Accounts kept prepared in memory")
    watch_seconds: float = Field(default=1.0, gt=0, description="How often the model cache is looked at")
    board_seconds: float = Field(default=3600.0, gt=0, description="Age from which the table of accounts is made again")
    attribution_seconds: float = Field(
        default=300.0, gt=0, description="Age from which an analysis of attribution is made again when it is asked for"
    )
    ticket: SecretStr | None = Field(
        default=None, description="Opens the pages once: what the link at the start carries"
    )

    @property
    def keys_file(self) -> Path:
        """File of the hashed API keys: as set, else beside a SQLite file, else in the working directory."""
        if self.keys is not None:
            return self.keys
        return Path("smarketing.keys") if "://" in self.store else Path(f"{self.store}.keys")
