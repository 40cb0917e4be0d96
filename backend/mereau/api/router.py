"""Which features answer under /api/v1, and in what order paths are tried: the busiest first."""

from starlette.routing import BaseRoute

from mereau.api import chain, keys, operations
from mereau.earning import endpoints as sales
from mereau.earning.actions import endpoints as actions
from mereau.earning.claims import endpoints as claims
from mereau.earning.codes import endpoints as codes
from mereau.earning.referrals import endpoints as referrals
from mereau.earning.rules import endpoints as rules
from mereau.earning.simulation import endpoints as simulation
from mereau.earning.terms import endpoints as terms
from mereau.ledger import endpoints as ledger
from mereau.ledger.adjustments import endpoints as adjustments
from mereau.ledger.aging import endpoints as activations
from mereau.ledger.extensions import endpoints as extensions
from mereau.ledger.gifts import endpoints as gifts
from mereau.ledger.registry import endpoints as partners
from mereau.members import endpoints as members
from mereau.members.cards import endpoints as cards
from mereau.members.consents import endpoints as consents
from mereau.members.profile import endpoints as profiles
from mereau.programs.days import endpoints as days
from mereau.programs.settings import endpoints as program
from mereau.rewards import endpoints as rewards
from mereau.rewards.catalogue import endpoints as catalogue
from mereau.rewards.downloads import endpoints as downloads
from mereau.rewards.entitlements import endpoints as entitlements
from mereau.rewards.files import endpoints as files
from mereau.rewards.fulfilment import endpoints as deliveries
from mereau.rewards.fulfilment.picking import endpoints as picking
from mereau.rewards.fulfilment.proofs import endpoints as proofs
from mereau.rewards.goods import endpoints as goods
from mereau.rewards.goods.offers import endpoints as offers
from mereau.rewards.instore import endpoints as instore
from mereau.rewards.objects import endpoints as objects
from mereau.rewards.pools import endpoints as pools
from mereau.rewards.refunds import endpoints as refunds
from mereau.rewards.surveys import endpoints as surveys
from mereau.segments import endpoints as segments
from mereau.segments.export import endpoints as exports
from mereau.tiers import endpoints as tiers


def build_routes() -> list[BaseRoute]:
    """All endpoints in one list: each feature's router carries its full prefix, so that a route's path is the path.

    Routers included in routers would be matched again at every level, for every request.
    """
    parts = (
        ledger.router,
        sales.router,
        members.router,
        profiles.router,
        consents.router,
        cards.router,
        actions.router,
        codes.router,
        claims.router,
        referrals.router,
        terms.router,
        rewards.router,
        catalogue.router,
        pools.router,
        files.router,
        downloads.router,
        instore.router,
        objects.router,
        offers.router,
        goods.router,
        deliveries.router,
        proofs.router,
        picking.router,
        surveys.router,
        refunds.router,
        entitlements.router,
        rules.router,
        tiers.router,
        segments.router,
        exports.router,
        simulation.router,
        adjustments.router,
        extensions.router,
        activations.router,
        gifts.router,
        program.router,
        partners.router,
        keys.router,
        chain.router,
        days.router,
        operations.router,
    )
    return [route for part in parts for route in part.routes]
