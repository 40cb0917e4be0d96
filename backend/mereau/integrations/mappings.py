"""The mappings by name. Another kind of file is another class that fulfils `SalesMapping`, named here."""

from collections.abc import Mapping
from typing import Final

from mereau.integrations.errors import UnknownMappingError
from mereau.integrations.lines import SalesMapping
from mereau.integrations.online_retail import OnlineRetail

MAPPINGS: Final[Mapping[str, SalesMapping]] = {"online-retail": OnlineRetail()}


def mapping_named(name: str) -> SalesMapping:
    """The mapping; UnknownMappingError lists those that there are."""
    mapping = MAPPINGS.get(name)
    if mapping is None:
        raise UnknownMappingError(f"There is no mapping {name!r}. Known: {', '.join(sorted(MAPPINGS))}.")
    return mapping
