"""Every route is walked with every identity; what each may do stands in `authorisation.py`."""

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.authorisation import EXPECTED
from api.expected import IDENTITIES, Expected
from api.world import ApiWorld


def served_routes(app: FastAPI) -> Iterator[str]:
    for context in iter_route_contexts(app.routes):
        for method in sorted((context.methods or set()) - {"HEAD"}):
            yield f"{method} {context.path_format or context.path}"


async def walk(world: ApiWorld, route: str, expected: Expected) -> dict[str | None, tuple[int, int]]:
    """Identity -> (status, expected status), where they differ."""
    method = route.partition(" ")[0]
    wrong = {}
    for identity in IDENTITIES:
        path, body = await expected.build(world)
        response = await world.send(identity, method, path, body)
        wanted = expected.status_for(identity)
        if response.status_code != wanted:
            wrong[identity] = (response.status_code, wanted)
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["status"] == response.status_code
    return wrong


async def test_every_route_answers_every_identity_as_expected(world: ApiWorld) -> None:
    await world.mine_everything()
    await world.deploy()
    # Readiness first: on a busy machine the whole walk takes longer than a mirror may be silent.
    # And last the one that takes away the rule by which others' sales earn.
    routes = sorted(
        served_routes(world.app), key=lambda route: ("/api/" in route, "rules/{rule_id}/deactivate" in route)
    )
    assert len(routes) == len(set(routes))
    assert sorted(routes) == sorted(EXPECTED), "every route stands in authorisation.py, and nothing else"
    wrong = {route: found for route in routes if (found := await walk(world, route, EXPECTED[route]))}
    assert wrong == {}


async def test_a_route_without_an_entry_is_noticed(world: ApiWorld) -> None:
    @world.app.get("/api/v1/forgotten")
    async def forgotten() -> dict[str, str]:
        return {}

    assert set(served_routes(world.app)) - EXPECTED.keys() == {"GET /api/v1/forgotten"}


async def test_a_wrong_expectation_is_noticed(world: ApiWorld) -> None:
    """The twin: told that member B may see member A, the walk objects."""
    route = "GET /api/v1/members/{member_id}"
    right = EXPECTED[route]
    wrong = Expected(**{name: 200 for name in right.__dict__ if name not in {"build", "stranger"}}, build=right.build)
    assert await walk(world, route, wrong) == {"member_b": (404, 200), "partner_b": (404, 200)}
