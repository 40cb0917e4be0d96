"""Finality and pace: the two rules that the mirror asks at every step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.chain.delta import ForeignEvent, MirrorDelta
from mereau.chain.finality import Finality
from mereau.chain.pace import Pace


@pytest.mark.parametrize(
    ("finality", "head", "node_head", "finalized", "expected"),
    [
        (Finality.by_tags(), 100, 100, 36, 36),
        (Finality.by_tags(), 20, 100, 36, 20),
        (Finality.by_tags(), 100, 100, None, None),
        (Finality.by_depth(64), 100, 100, None, 36),
        (Finality.by_depth(64), 100, 100, 99, 36),
        (Finality.by_depth(64), 20, 100, None, 20),
        (Finality.by_depth(0), 100, 100, None, 100),
        (Finality.by_depth(64), 10, 10, None, None),
    ],
)
def test_final_blocks(
    finality: Finality, head: int, node_head: int, finalized: int | None, expected: int | None
) -> None:
    assert finality.final_number(head=head, node_head=node_head, finalized=finalized) == expected


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Finality.by_depth(-1)


@pytest.mark.parametrize(("finality", "tags"), [(Finality.by_tags(), True), (Finality.by_depth(0), False)])
def test_who_decides(finality: Finality, tags: bool) -> None:
    assert finality.uses_tags is tags


def test_quiet_blocks_lengthen_the_range_up_to_its_limit() -> None:
    pace = Pace(blocks=16, blocks_max=100)
    for _ in range(5):
        pace.done(blocks=pace.blocks, events=0, took_s=0.01)
    assert pace.blocks == 100


def test_the_end_of_the_chain_is_no_reason_to_ask_for_more() -> None:
    pace = Pace(blocks=16)
    pace.done(blocks=1, events=200, took_s=0.01)
    assert pace.blocks == 16


def test_busy_blocks_shorten_it_in_one_go() -> None:
    pace = Pace(blocks=100)
    pace.done(blocks=pace.blocks, events=20_000, took_s=0.5)
    assert pace.blocks == 25


def test_slow_answers_shorten_it_as_well() -> None:
    pace = Pace(blocks=100)
    pace.done(blocks=pace.blocks, events=0, took_s=4)
    assert pace.blocks == 25


def test_a_range_that_fits_stays() -> None:
    pace = Pace(blocks=10)
    pace.done(blocks=pace.blocks, events=4_000, took_s=0.1)
    assert pace.blocks == 10


def test_a_failure_halves_the_range_and_one_block_is_the_least() -> None:
    pace = Pace(blocks=3)
    seen = []
    for _ in range(3):
        pace.failed()
        seen.append(pace.blocks)
    assert seen == [1, 1, 1]


def test_what_failed_is_not_tried_again_soon() -> None:
    pace = Pace(blocks=16)
    pace.failed()
    seen = set()
    for _ in range(63):
        pace.done(blocks=pace.blocks, events=0, took_s=0)
        seen.add(pace.blocks)
    assert seen == {8}
    pace.done(blocks=pace.blocks, events=0, took_s=0)
    assert pace.blocks == 16


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 100)) | st.none(), max_size=30))
def test_the_range_is_always_within_its_bounds(answers: list[tuple[int, float] | None]) -> None:
    pace = Pace()
    for answer in answers:
        if answer is None:
            pace.failed()
        else:
            pace.done(blocks=pace.blocks, events=answer[0], took_s=answer[1])
        assert 1 <= pace.blocks <= 200


def test_a_delta_is_empty_only_while_nothing_concerns_a_batch() -> None:
    assert MirrorDelta(7).is_empty
    foreign = ForeignEvent("redeem", 7, 0, reference=b"r")
    for change in ("mined", "final", "reorged", "failed"):
        assert not MirrorDelta(7, **{change: ["bat_1"]}).is_empty
    assert not MirrorDelta(7, foreign=[foreign]).is_empty
