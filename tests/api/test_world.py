from api.world import ApiWorld


async def test_a_voucher_goes_from_sale_to_till(world: ApiWorld) -> None:
    redemption = await world.a_redemption()
    assert (redemption["state"], redemption["voucher_code"], redemption["balance"]["available"]) == (
        "burning",
        None,
        70,
    )
    code = await world.grant(redemption)
    used = await world.post("partner_a", f"/redemptions/{redemption['id']}/use", {"code": code})
    assert (used.status_code, used.json()["state"]) == (200, "used")
