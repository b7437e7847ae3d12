"""What helm makes of the chart, where the tests' cluster has built helm already.

`manifests/install.yaml` is the chart's golden file; this is about what it makes otherwise.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from tests.support import install_manifest
from tests.support.cached_install import CACHE
from tests.support.process import ROOT

pytestmark = pytest.mark.skipif(
    not any(CACHE.glob("kubernetes/control-plane-*/helm")), reason="helm is not built yet"
)

BOARDS = ROOT / "manifests" / "dashboards"


def rendered(*arguments: str) -> list[dict[str, Any]]:
    text = install_manifest.template("mcp-gateway", *arguments, namespace="system")
    return [each for each in yaml.safe_load_all(text) if each]


def of(things: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [thing for thing in things if thing["kind"] == kind]


def operator(*arguments: str) -> dict[str, Any]:
    (deployment,) = of(rendered(*arguments), "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def test_several_replicas_are_spread_and_kept() -> None:
    assert of(rendered(), "PodDisruptionBudget") == []
    things = rendered("--set", "replicas=2")
    (budget,) = of(things, "PodDisruptionBudget")
    (deployment,) = of(things, "Deployment")
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_cluster_or_namespaces() -> None:
    whole = rendered("--set", "rbac.aggregate=false")
    assert len(of(whole, "ClusterRole")) == 1
    assert len(of(whole, "Role")) == 1
    some = rendered("--set", "rbac.aggregate=false,watchNamespaces={a,b}")
    assert of(some, "ClusterRole") == of(some, "ClusterRoleBinding") == []
    assert [role["metadata"]["namespace"] for role in of(some, "Role")] == ["system", "a", "b"]
    (deployment,) = of(some, "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--namespace=a" in arguments
    assert "--namespace=b" in arguments


def test_every_binding_names_the_account_and_a_role_there_is() -> None:
    for things in (rendered(), rendered("--set", "watchNamespaces={a}")):
        roles = {
            (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
            for each in things
        }
        for binding in [*of(things, "RoleBinding"), *of(things, "ClusterRoleBinding")]:
            role = binding["roleRef"]
            assert (role["kind"], binding["metadata"].get("namespace"), role["name"]) in roles
            (subject,) = binding["subjects"]
            assert ("ServiceAccount", subject["namespace"], subject["name"]) in roles


def test_the_pods_are_restricted() -> None:
    for template in [operator(), of(rendered(), "Pod")[0]["spec"]]:
        assert template["securityContext"]["runAsNonRoot"] is True
        assert template["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = template["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert container["resources"]["limits"]["memory"]


def test_a_security_setting_is_laid_over() -> None:
    spec = operator("--set", "containerSecurityContext.readOnlyRootFilesystem=false")
    context = spec["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is False
    assert context["allowPrivilegeEscalation"] is False


def test_images_by_tag_and_by_digest() -> None:
    digest = f"sha256:{'a' * 64}"
    spec = operator("--set", f"image.repository=r/op,image.digest={digest},gatewayImage.tag=v2")
    (container,) = spec["containers"]
    assert container["image"] == f"r/op@{digest}"
    assert "--gateway-image=mcp-gateway:v2" in container["args"]


def test_what_is_switched_off_is_not_made() -> None:
    off = "rbac.create=false,serviceAccount.create=false,networkPolicy.enabled=false"
    kinds = {thing["kind"] for thing in rendered("--set", off)}
    assert kinds == {"Deployment", "Lease", "Secret", "Pod"}


def test_a_misspelt_value_is_refused_by_helm() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered("--set", "replica=2")
    assert "additional properties 'replica' not allowed" in refused.value.stderr


def test_optional_parts() -> None:
    things = rendered(
        "--set", "podMonitor.enabled=true,podMonitor.labels.team=a,priorityClassName=high",
        "--set", "imagePullSecrets[0].name=pull,nodeSelector.disk=ssd,podLabels.x=y",
        "--set", "tolerations[0].operator=Exists,podAnnotations.a=b,extraArgs={--workers=2}",
        "--set", "serviceAccount.annotations.role=r",
    )  # fmt: skip
    (monitor,) = of(things, "PodMonitor")
    assert monitor["metadata"]["labels"]["team"] == "a"
    (deployment,) = of(things, "Deployment")
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"]["x"] == "y"
    assert template["metadata"]["annotations"]["a"] == "b"
    spec = template["spec"]
    assert spec["priorityClassName"] == "high"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert "--workers=2" in spec["containers"][0]["args"]


def test_dashboards_and_alerts_where_they_are_asked_for() -> None:
    assert not {"ConfigMap", "PrometheusRule"} & {thing["kind"] for thing in rendered()}
    things = rendered(
        "--set", "monitoring.dashboards.enabled=true,monitoring.dashboards.labels.team=a",
        "--set", "monitoring.rules.enabled=true,monitoring.rules.objective=0.995",
        "--set", "monitoring.rules.runbooks=https://r.example/,monitoring.rules.labels.team=a",
    )  # fmt: skip
    boards = of(things, "ConfigMap")
    assert len(boards) == 4
    for board in boards:
        labels = board["metadata"]["labels"]
        assert (labels["grafana_dashboard"], labels["team"]) == ("1", "a")
        ((file, text),) = board["data"].items()
        name = file.removeprefix("mcp-gateway-")
        assert json.loads(text) == json.loads((BOARDS / name).read_text(encoding="utf-8"))
    (rule,) = of(things, "PrometheusRule")
    assert rule["metadata"]["labels"]["team"] == "a"
    budget, *_, own = rule["spec"]["groups"]
    assert "(1 - 0.995)" in budget["rules"][0]["expr"]
    assert "OBJECTIVE" not in budget["rules"][0]["expr"]
    assert 'namespace="system"' in own["rules"][0]["expr"]
    for group in rule["spec"]["groups"]:
        for each in group["rules"]:
            link = each["annotations"]["runbook_url"]
            assert link == f"https://r.example/{each['alert']}.md"


def test_alerts_of_the_operator_alone() -> None:
    only = "monitoring.rules.enabled=true,monitoring.rules.gateways=false"
    (rule,) = of(rendered("--set", only), "PrometheusRule")
    assert [group["name"] for group in rule["spec"]["groups"]] == ["mcp-gateway-operator"]


@pytest.mark.parametrize("objective", ["1", "0.5", "high", "0.9x"])
def test_an_objective_that_is_none_is_refused(objective: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered("--set", f"monitoring.rules.objective={objective}")
    assert "objective" in refused.value.stderr
