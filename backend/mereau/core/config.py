"""Settings, read once from the environment (prefix MEREAU_) or a `.env` file. Nothing else reads it."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every knob of an installation; docs/operators.md lists them with advice."""

    model_config = SettingsConfigDict(env_prefix="MEREAU_", env_file=".env", extra="ignore")

    data_dir: Path = Field(default=Path("var/mereau"), description="Where the embedded stack keeps its data.")
    database_url: str | None = Field(default=None, description="PostgreSQL server; empty: the embedded one.")
    chain_url: str | None = Field(default=None, description="JSON-RPC URL; empty: the embedded chain.")
    chain_second_url: str | None = Field(default=None, description="A second node, compared with the first.")
    chain_head_age_max_s: float | None = Field(
        default=None, gt=0, description="Alarm where the newest block is older; empty: blocks come on demand."
    )
    chain_id: int | None = Field(default=None, description="Refuse a node of any other chain id.")
    finality: Literal["depth", "tags"] = Field(
        default="tags", description="How a block becomes final: the node's tags, or a depth in blocks."
    )
    finality_depth_blocks: int = Field(default=64, ge=0, description="Depth where finality is `depth`.")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#]+$",
        description="Where members reach this server; stands in QR codes. Empty: http, host and port.",
    )
    keystore_password: SecretStr | None = Field(default=None, description="Opens the programme's keystore.")
    keystore_password_file: Path | None = None
    seal_delay_s: float = Field(default=1.0, gt=0, description="A batch waits at most this long.")
    seal_orders_max: int = Field(default=1_000, ge=1, description="A transaction carries at most this many orders.")
    fee_max_gwei: Decimal = Field(default=Decimal(500), gt=0, description="The most that one gas may cost.")
    transaction_gas_max: int = Field(default=16_777_216, ge=100_000, description="The chain's cap per transaction.")
    block_gas_percent_max: int = Field(default=50, ge=1, le=100, description="Share of a block for one transaction.")
    funds_batches_min: int = Field(default=10, ge=1, description="Alarm below gas money for so many full batches.")
    rate_limit_per_minute: int = Field(default=120_000, ge=1, description="Requests of one API key, per process.")
    postgres_memory_mib: int = Field(default=8, ge=1, description="Cache of the embedded PostgreSQL.")
    pool_connections_max: int = Field(default=8, ge=1, description="Database connections per process.")
    log_format: Literal["console", "json"] = "console"
    log_level: str = "INFO"
