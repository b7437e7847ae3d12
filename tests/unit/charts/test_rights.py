"""The operator's rights are those that its code uses: none is missing, and none is more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_gateway.api import GROUP
from mcp_gateway_operator.reconcile.keyring import AUTHORITY_SECRET
from mcp_gateway_operator.render.gateway import MANAGER
from mcp_gateway_operator.render.kind import CHILDREN, EVENT, GATEWAY, LEASE, POD, Kind

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "charts" / "mcp-gateway" / "templates" / "_rules.tpl"
PAGE = ROOT / "docs" / "reference" / "rbac.md"

SEE = frozenset({"list", "watch"})
OWN = frozenset({"get", "list", "watch", "create", "patch", "delete"})


def rules(name: str) -> list[dict[str, Any]]:
    text = TEMPLATE.read_text(encoding="utf-8")
    found = re.search(rf'{{{{- define "{name}" -}}}}\n(.*?){{{{- end }}}}', text, re.DOTALL)
    assert found is not None
    named = found[1].replace('{{ include "operator.name" . }}', MANAGER)
    loaded: list[dict[str, Any]] = yaml.safe_load(named)
    return loaded


def rights(name: str) -> dict[tuple[str, str], frozenset[str]]:
    """Verbs by API group and resource, of the rules without names."""
    return {
        (group, resource): frozenset(rule["verbs"])
        for rule in rules(name)
        if "resourceNames" not in rule
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def at(kind: Kind) -> tuple[str, str]:
    group, slash, _ = kind.api_version.partition("/")
    return (group if slash else "", kind.plural)


def test_rights_where_the_gateways_are() -> None:
    wanted = {at(kind): OWN for kind in CHILDREN}
    wanted |= {at(GATEWAY): SEE, at(POD): SEE, at(EVENT): frozenset({"create", "patch"})}
    wanted[GROUP, f"{GATEWAY.plural}/status"] = frozenset({"patch"})
    assert rights("operator.rules") == wanted


def test_rights_in_the_operators_own_namespace() -> None:
    named = {
        (rule["apiGroups"][0], rule["resources"][0], rule["resourceNames"][0]): rule["verbs"]
        for rule in rules("operator.ownRules")
        if "resourceNames" in rule
    }
    assert named == {
        ("coordination.k8s.io", LEASE.plural, MANAGER): ["get", "patch"],
        ("", "secrets", AUTHORITY_SECRET): ["get", "patch"],
    }
    # What is made cannot be named beforehand: the API server does not know the name yet.
    assert rights("operator.ownRules") == {
        at(LEASE): frozenset({"create"}),
        ("", "secrets"): frozenset({"create"}),
    }


@pytest.mark.parametrize("name", ["operator.rules", "operator.ownRules"])
def test_nothing_is_given_by_a_wildcard(name: str) -> None:
    assert "*" not in str(rules(name))


def test_the_reference_explains_every_right() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in ("operator.rules", "operator.ownRules"):
        for rule in rules(name):
            for resource in rule["resources"]:
                assert f"`{resource}`" in page, resource
