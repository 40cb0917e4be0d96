"""Column types that every table shares: ids as text, instants with zone, 20-byte addresses, 32-byte hashes."""

from datetime import datetime
from typing import Annotated

from sqlalchemy import BigInteger, DateTime, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import mapped_column

Id = Annotated[str, mapped_column(Text)]
IdKey = Annotated[str, mapped_column(Text, primary_key=True)]
Tokens = Annotated[int, mapped_column(BigInteger)]
AmountMinor = Annotated[int, mapped_column(BigInteger)]
Bytes = Annotated[bytes, mapped_column(LargeBinary)]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())]
Json = Annotated[dict[str, object], mapped_column(JSONB)]
