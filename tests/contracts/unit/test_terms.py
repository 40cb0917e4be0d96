"""Programme terms: announced on chain, with notice, never overtaken."""

import pytest

from contracts.harness import NOTICE_S, U64_MAX, Token

FIRST = b"\x01" * 32
SECOND = b"\x02" * 32
URI = "https://example.test/terms/1"


def published(token: Token, terms_hash: bytes, effective_at: int, uri: str = URI) -> object:
    return token.run(token.call.publishTerms(terms_hash, uri, effective_at), token.roles.admin)


def test_announces_a_version(token: Token) -> None:
    effective_at = token.chain.now() + NOTICE_S + 10
    assert published(token, FIRST, effective_at) == [
        ("TermsPublished", {"version": 1, "termsHash": FIRST, "effectiveAt": effective_at, "uri": URI})
    ]
    assert token.call.termsCount().call() == 1
    assert token.call.termsAt(1).call() == [FIRST, effective_at, URI]


def test_takes_effect_no_sooner_than_the_notice(token: Token) -> None:
    earliest = token.chain.now() + NOTICE_S
    early = token.call.publishTerms(FIRST, URI, earliest - 1)
    assert token.refusal(early, token.roles.admin) == (
        "LoyaltyNotice",
        {"earliest": earliest, "given": earliest - 1},
    )
    token.call.publishTerms(FIRST, URI, earliest).call({"from": token.roles.admin})


def test_does_not_overtake_terms_announced_before(token: Token) -> None:
    first_at = token.chain.now() + 3 * NOTICE_S
    published(token, FIRST, first_at)
    overtaking = token.call.publishTerms(SECOND, URI, first_at - 1)
    assert token.refusal(overtaking, token.roles.admin) == (
        "LoyaltyNotice",
        {"earliest": first_at, "given": first_at - 1},
    )
    published(token, SECOND, first_at)
    assert [token.call.termsAt(version).call()[0] for version in (1, 2)] == [FIRST, SECOND]


def test_past_terms_do_not_shorten_the_notice(token: Token) -> None:
    first_at = token.chain.now() + NOTICE_S + 10
    published(token, FIRST, first_at)
    token.chain.travel(first_at + 100)
    earliest = token.chain.now() + NOTICE_S
    call = token.call.publishTerms(SECOND, URI, earliest - 1)
    assert token.refusal(call, token.roles.admin)[1] == {"earliest": earliest, "given": earliest - 1}


@pytest.mark.parametrize("version", [0, 2, U64_MAX])
def test_there_are_no_other_versions(token: Token, version: int) -> None:
    published(token, FIRST, token.chain.now() + NOTICE_S + 10)
    assert token.refusal(token.call.termsAt(version)) == ("LoyaltyTermsUnknown", {"version": version})


def test_the_metadata_address_moves_with_an_event(token: Token) -> None:
    call = token.call.setContractURI("https://example.test/new.json")
    assert token.run(call, token.roles.admin) == [("ContractURIUpdated", {})]
    assert token.call.contractURI().call() == "https://example.test/new.json"
