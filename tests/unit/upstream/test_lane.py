from __future__ import annotations

from mcp_gateway.upstream.lane import FIRST_LIMIT, MAX_LANES, Lanes
from mcp_gateway.upstream.settings import UNBOUNDED


def nobody(_lane: str) -> int:
    return 0


def test_without_lanes_of_their_own_all_models_are_the_accounts() -> None:
    lanes = Lanes(30, 10, lane_shares={"big": 2})
    assert lanes.find("small", nobody) is lanes.root
    assert lanes.find("", nobody) is lanes.root
    assert lanes.find("big", nobody).limit.limit == 2
    assert lanes.root.limit.limit == 10


def test_by_lane_every_model_has_a_limit_of_its_own() -> None:
    lanes = Lanes(30, None, by_lane=True, lane_share=5, lane_shares={"big": 2})
    small = lanes.find("small", nobody)
    assert small is lanes.find("small", nobody)
    assert small.limit.limit == 5
    assert lanes.find("big", nobody).limit.limit == 2
    assert lanes.root.limit.limit == 30
    assert [lane.name for lane in lanes] == ["big", "small"]


def test_what_nobody_bounds_or_knows_begins_small() -> None:
    assert Lanes(UNBOUNDED, None).root.limit.limit == FIRST_LIMIT
    lanes = Lanes(UNBOUNDED, None, by_lane=True)
    assert lanes.root.limit.limit == UNBOUNDED
    assert lanes.find("m", nobody).limit.limit == FIRST_LIMIT


def test_room_is_what_the_limit_leaves() -> None:
    lanes = Lanes(30, None, by_lane=True, lane_share=1)
    lane = lanes.find("m", nobody)
    assert lane.has_room
    assert lanes.is_open("m")
    lane.in_flight = 1
    assert not lanes.is_open("m")
    assert lanes.is_open("")


def test_lanes_are_bounded_and_those_in_use_or_set_by_somebody_stay() -> None:
    lanes = Lanes(30, None, by_lane=True, lane_shares={"pinned": 2})
    used = lanes.find("used", nobody)
    used.in_flight = 1
    for i in range(MAX_LANES * 2):
        assert lanes.find(f"model-{i}", lambda lane: lane == "model-0").name == f"model-{i}"
    names = {lane.name for lane in lanes}
    assert len(names) == MAX_LANES
    assert {"pinned", "used", "model-0"} <= names


def test_where_no_lane_can_be_forgotten_new_models_count_as_the_accounts() -> None:
    lanes = Lanes(30, None, by_lane=True)
    for i in range(MAX_LANES):
        lanes.find(f"model-{i}", nobody).in_flight = 1
    assert lanes.find("one more", nobody) is lanes.root


def test_shares_can_be_set_for_the_account_and_for_models() -> None:
    lanes = Lanes(30, None, by_lane=True)
    lanes.set_share("", 7, governed=True)
    assert lanes.root.limit.limit == 7
    assert lanes.root.limit.governed
    lanes.set_share("m", 3, governed=False)
    lane = lanes.find("m", nobody)
    assert lane.limit.limit == 3
    assert lane.pinned
    lanes.set_share("m", 4, governed=False)
    assert lane.limit.limit == 4


def test_the_capacity_bounds_every_limit() -> None:
    lanes = Lanes(30, None, by_lane=True, lane_shares={"m": 20})
    lanes.set_capacity(8)
    assert lanes.root.limit.limit == 8
    assert lanes.find("m", nobody).limit.limit == 8
    assert lanes.find("new", nobody).limit.limit == 8


def test_a_model_has_its_own_share_or_the_accounts() -> None:
    lanes = Lanes(30, 10, lane_shares={"big": 0})
    assert (lanes.share("big"), lanes.share("small"), lanes.share("")) == (0, 10, 10)
    assert (lanes.place("big"), lanes.place("small")) == ("big", "")
