"""Who may upload, ask for links and follow them."""

from api.expected import EVERYBODY, ONLY_OPERATOR, Expected, Request
from api.world import ApiWorld


async def _new_file(world: ApiWorld) -> Request:
    return "/files", b"%PDF-1.7"


async def _photo(world: ApiWorld) -> Request:
    uploaded = await world.made("operator", "/files", b"\x89PNG\r\n\x1a\n")
    return f"http://mereau.test{uploaded['url']}", None


async def _link(world: ApiWorld) -> Request:
    path, _ = await _downloadable(world)
    made = await world.made("member_a", path, None)
    return f"http://mereau.test/d/{made['url'].rpartition('/')[2]}", None


async def _downloadable(world: ApiWorld) -> Request:
    uploaded = await world.made("operator", "/files", b"%PDF-1.7")
    reward = {
        "external_id": f"ebook-{next(world.numbers)}",
        "partner_id": world.ids["partner_a"],
        "name_fr": "Un livre",
        "name_en": "A book",
        "price_tokens": 1,
        "terms": {"kind": "digital", "content": uploaded["digest"]},
    }
    made = await world.made("operator", "/rewards", reward)
    path = f"/members/{world.ids['member_a']}/redemptions"
    redemption = await world.made("member_a", path, {"reward_id": made["id"]})
    await world.grant(redemption)
    return f"/redemptions/{redemption['id']}/links", None


FILES = {
    "POST /api/v1/redemptions/{redemption_id}/links": Expected(
        _downloadable,
        member_a=201, member_b=404, partner_a=403, partner_b=403, staff=403, operator=201, auditor=403,
    ),
    "GET /d/{token}": Expected(_link, **EVERYBODY, stranger=200),
    "POST /api/v1/files": Expected(_new_file, **ONLY_OPERATOR, operator=201),
    "GET /files/{digest}": Expected(_photo, **EVERYBODY, stranger=200),
}  # fmt: skip
