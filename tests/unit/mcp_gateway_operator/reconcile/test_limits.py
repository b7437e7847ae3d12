"""What a status says of limits, while pods tell of them and while they do not."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway.api.status import Status
from mcp_gateway_operator.evidence import Facts
from mcp_gateway_operator.facts import FleetView, Key, Probed
from mcp_gateway_operator.reconcile import limits, status
from mcp_gateway_operator.tuning import Change, LimitView, RateView, Recommendation

KEY = Key("ai", "llm")


def change(at: float, after: int, before: int | None = None) -> Change:
    return Change("ai/llm", "kimi", "", before, after, "refused", at, lowered=True)


def view(**fields: Any) -> LimitView:
    settings: dict[str, Any] = {
        "model": "", "account": "a1", "ceiling": 52, "stated": 100, "granted": 50, "in_flight": 40,
        "waiting": 3, "refused": 14, "warm": 12, "state": "Holding", "reason": "14 refusals",
        "shares": {"web-2": 26, "web-1": 24},
    }  # fmt: skip
    return LimitView(**(settings | fields))


def kept(provider: dict[str, Any]) -> bool:
    """An API server gives back what was written: it fills in nothing that then differs."""
    read = Status.model_validate({"providers": [provider]}).providers[0]
    return read.model_dump(by_alias=True, exclude_none=True) == provider


def test_a_limit_is_written_in_full() -> None:
    found = limits.shown(
        [view(requests=RateView(500, 480, 470), recent=[change(1.5, 52, 100)])],
        {}, "Auto", settling=False,
    )  # fmt: skip
    assert found == {
        "ceiling": 52, "stated": 100, "granted": 50, "inFlight": 40, "waiting": 3, "refused": 14,
        "warm": 12, "state": "Holding", "reason": "14 refusals",
        "shares": [{"pod": "web-1", "share": 24}, {"pod": "web-2", "share": 26}],
        "requestsPerMinute": {"stated": 500, "granted": 480, "used": 470},
        "changes": [
            {"time": "1970-01-01T00:00:01.500000Z", "before": 100, "after": 52, "reason": "refused"}
        ],
    }  # fmt: skip
    assert kept({"name": "kimi", "message": "", **found})


def test_mode_off_shows_what_is_used_and_nothing_that_is_not_governed() -> None:
    found = limits.shown([view(recent=[change(1.0, 52)])], {}, "Off", settling=False)
    assert (found["inFlight"], found["waiting"]) == (40, 3)
    assert found.keys() == {"stated", "inFlight", "waiting"}


def test_mode_recommend_has_its_recommendation_and_no_shares() -> None:
    advice = Recommendation(10, 40, 52, "demand of 7 a second")
    found = limits.shown([view(recommendation=advice)], {}, "Recommend", settling=False)
    assert found["recommendation"] == {
        "lower": 10, "target": 40, "upper": 52, "reason": "demand of 7 a second",
    }  # fmt: skip
    assert {"granted", "shares"} & found.keys() == set()
    unknown = limits.shown(
        [view(recommendation=Recommendation(1, 2, None, ""))], {}, "Recommend", settling=False
    )
    assert "upper" not in unknown["recommendation"]


def test_models_that_are_limited_by_themselves_have_their_own_lines() -> None:
    account = view(ceiling=None, stated=None, shares={}, reason="", recent=())
    found = limits.shown(
        [account, view(model="glm-5", ceiling=30), view(model="glm-4.6", ceiling=10)],
        {}, "Auto", settling=False,
    )  # fmt: skip
    assert [(each["model"], each["ceiling"]) for each in found["byModel"]] == [
        ("glm-4.6", 10), ("glm-5", 30),
    ]  # fmt: skip
    assert "ceiling" not in found
    assert kept({"name": "glm", "message": "", **found})


def test_many_pods_have_a_line_each_as_far_as_there_is_room() -> None:
    shares = {f"web-{number:03}": number for number in range(200)}
    found = limits.shown([view(shares=shares)], {}, "Auto", settling=False)
    assert len(found["shares"]) == limits.SHARES
    assert {each["share"] for each in found["shares"]} == set(range(136, 200))


def test_the_last_changes_outlive_the_leader_that_made_them() -> None:
    first = limits.shown(
        [view(recent=[change(float(at), at) for at in range(1, 9)])], {}, "Auto", settling=False
    )
    second = limits.shown(
        [view(recent=[change(20.0, 20), change(21.0, 21), change(22.0, 22)])],
        first, "Auto", settling=False,
    )  # fmt: skip
    assert [each["after"] for each in second["changes"]] == [2, 3, 4, 5, 6, 7, 8, 20, 21, 22]
    again = limits.shown(
        [view(recent=[change(20.0, 20), change(21.0, 21), change(22.0, 22)])],
        second, "Auto", settling=False,
    )  # fmt: skip
    assert again == second
    quiet = limits.shown([view()], second, "Auto", settling=False)
    assert quiet["changes"] == second["changes"]


def test_what_a_new_leader_goes_on_from_stays_while_no_pod_tells() -> None:
    before = limits.shown(
        [view(recent=[change(1.0, 52)]), view(model="x", ceiling=7)], {}, "Auto", settling=False
    )
    assert limits.shown([], before, "Auto", settling=True) == before
    later = limits.shown([], before, "Auto", settling=False)
    assert later.keys() == {"ceiling", "stated", "reason", "changes", "byModel"}
    assert "inFlight" not in later["byModel"][0]
    assert limits.shown([], before, "Off", settling=False) == {}
    known = limits.known_ceilings(KEY, [{"name": "kimi", **later}, {"name": "none"}])
    assert known == {("ai/llm", "kimi", ""): 52, ("ai/llm", "kimi", "x"): 7}


def facts(**fields: Any) -> Facts:
    return Facts(mode="Auto", **fields)


def test_probes_and_reports_do_not_overwrite_each_other() -> None:
    probed = (Probed("kimi", "Healthy"), Probed("glm", "Unreachable", "no route"))
    only_probed = status.providers(facts(view=FleetView(providers=probed)), [])
    assert only_probed == [
        {"name": "kimi", "reachable": True, "message": "Healthy"},
        {"name": "glm", "reachable": False, "message": "no route"},
    ]
    only_reported = status.providers(facts(view=FleetView(limits={"kimi": (view(),)})), only_probed)
    assert only_reported[0]["reachable"]
    assert only_reported[0]["ceiling"] == 52
    assert only_reported[1] == only_probed[1]
    probed_again = status.providers(facts(view=FleetView(providers=probed)), only_reported)
    assert probed_again[0]["ceiling"] == 52
    first = status.providers(facts(view=FleetView(limits={"kimi": (view(),)})), [])
    assert first[0]["name"] == "kimi"
    assert kept(first[0])
    assert "reachable" not in first[0]


@pytest.mark.parametrize(
    ("mode", "states", "frozen", "summary"),
    [
        ("Off", ["Idle"], False, "Off"),
        ("Auto", [], False, "Auto"),
        ("Auto", ["Idle", "Probing"], False, "Auto/Probing"),
        ("Auto", ["Idle"], True, "Auto/Frozen"),
        ("Recommend", ["Full", "Idle"], False, "Recommend/Full"),
    ],
)
def test_the_column_says_mode_and_state(
    mode: Any, states: list[Any], frozen: bool, summary: str
) -> None:
    shown = {"kimi": tuple(view(state=state, model=state) for state in states)}
    found = limits.summary(Facts(mode=mode, frozen=frozen, view=FleetView(limits=shown)))
    assert found == summary
