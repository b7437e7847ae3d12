"""A person's template laid over the operator's."""

from __future__ import annotations

from mcp_gateway_operator.render.overlay import overlay


def test_maps_are_merged_and_what_is_over_wins() -> None:
    assert overlay({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"c": 3}}) == {
        "a": 1,
        "b": {"c": 3, "d": 2},
    }


def test_null_takes_a_field_out() -> None:
    assert overlay({"a": 1, "b": 2}, {"a": None, "c": None}) == {"b": 2}


def test_named_things_are_merged_by_name_in_order() -> None:
    base = {"containers": [{"name": "gateway", "image": "a", "env": [{"name": "X", "value": "1"}]}]}
    over = {
        "containers": [
            {"name": "proxy"},
            {"name": "gateway", "env": [{"name": "Y", "value": "2"}]},
        ]
    }
    assert overlay(base, over) == {
        "containers": [
            {
                "name": "gateway",
                "image": "a",
                "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
            },
            {"name": "proxy"},
        ]
    }


def test_other_lists_are_replaced() -> None:
    assert overlay({"args": ["a"]}, {"args": ["b"]}) == {"args": ["b"]}
    assert overlay({"ports": [1]}, {"ports": [{"containerPort": 2}]}) == {
        "ports": [{"containerPort": 2}]
    }


def test_what_is_given_stays_as_it_was() -> None:
    base = {"a": {"b": 1}}
    overlay(base, {"a": {"b": 2}})
    assert base == {"a": {"b": 1}}
