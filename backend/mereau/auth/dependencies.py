"""The caller of a request, as endpoints take it: `caller: Annotated[Principal, allowed(Scope.SALES_READ)]`."""

import asyncio
import time
from collections import OrderedDict
from typing import Any, Final

from fastapi import Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from mereau.auth import service
from mereau.auth.domain import Principal, Scope, bearer_key, digest_of
from mereau.auth.errors import MissingScopeError
from mereau.core.errors import TooManyRequestsError
from mereau.core.http import Site, site_of

CACHE_TTL_S: Final = 1.0
"""How long a worker may still accept a revoked key; the promise is 5 s."""
_CACHE_KEYS_MAX: Final = 4096


class Keyring:
    """Principals seen in the last second, so that a busy key costs one query a second and not one a request."""

    def __init__(self, ttl_s: float = CACHE_TTL_S) -> None:
        self._ttl_s = ttl_s
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._loading: dict[bytes, asyncio.Task[Principal | None]] = {}

    async def authenticate(self, site: Site, header: str | None) -> Principal:
        """As auth.service.authenticate; unknown keys are not remembered, expiry is looked at each time."""
        key = bearer_key(header)
        if key is None:
            raise service.unauthenticated()
        digest = digest_of(key)
        found = self._known.get(digest)
        if found is not None and time.monotonic() - found[0] < self._ttl_s:
            principal: Principal | None = found[1]
        else:
            principal = await self._load_once(site, digest)
        if principal is None or service.is_expired(principal, site.clock.now()):
            raise service.unauthenticated()
        return principal

    async def _load_once(self, site: Site, digest: bytes) -> Principal | None:
        """Requests that miss the same key together wait for one query; one that is cancelled does not end it."""
        loading = self._loading.get(digest)
        if loading is None:
            loading = self._loading[digest] = asyncio.create_task(self._load(site, digest))
            loading.add_done_callback(lambda _: self._loading.pop(digest))
        return await asyncio.shield(loading)

    async def _load(self, site: Site, digest: bytes) -> Principal | None:
        # Before the query: the time to live counts from the oldest moment that the row can show.
        at_s = time.monotonic()
        async with AsyncSession(site.reads) as session:
            principal = await service.find_principal(session, digest)
        if principal is None:
            self._known.pop(digest, None)
            return None
        self._known[digest] = (at_s, principal)
        self._known.move_to_end(digest)
        if len(self._known) > _CACHE_KEYS_MAX:
            self._known.popitem(last=False)
        return principal


class _Allowed(SecurityBase):
    """Authenticates, then asks for one scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.scheme_name = "ApiKey"
        self.model = HTTPBearer(
            bearerFormat="mk_live_...", description="An API key of Mereau, `mk_live_` or `mk_test_`."
        )

    async def __call__(self, request: Request) -> Principal:
        keyring = request.app.state.keyring
        if not isinstance(keyring, Keyring):
            raise TypeError("create_app sets the keyring")
        caller = await keyring.authenticate(site_of(request), request.headers.get("authorization"))
        rate = request.app.state.limiter.hit(caller.key_id)
        request.state.rate = rate
        if not rate.is_allowed:
            raise TooManyRequestsError("This key asks too often. Wait, or spread the work.", retry_after_s=rate.reset_s)
        if not caller.may(self.scope):
            raise MissingScopeError(f"This needs the scope {self.scope}.")
        return caller


def allowed(scope: Scope) -> Any:
    """The dependency of an endpoint that takes callers with `scope` and no others."""
    return Security(_Allowed(scope), scopes=[scope.value])
