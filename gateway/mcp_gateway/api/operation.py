"""How the gateway is watched, tuned and rolled out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcp_gateway.api.fields import Count, Duration, HttpUrl, Model, Ratio, Rule


class Logging(Model):
    """The log, on standard error, one line per event."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious event that is written. Requests are `info`."""

    content: bool = False
    """Write prompts and answers into the log too. They are people's words: off unless asked
    for."""

    format: Literal["json", "text"] = "json"
    """`json` for programs, `text` for eyes."""


class Canary(Model):
    """How a changed configuration is tried before every pod gets it."""

    pods: Count = 1
    """Pods that get it first."""

    window: Duration = 60.0
    """Time it is watched there before the others get it."""

    max_error_increase: Ratio = 0.02
    """How much the part of failed requests may rise there, against the other pods, before it
    is taken back: 0.02 is two in a hundred."""


class Rollout(Model):
    """How a changed configuration reaches the pods. Used by the operator."""

    strategy: Literal["Immediate", "Canary"] = "Immediate"
    """`Immediate`: all pods at once, well under a second. `Canary`: a few first."""

    canary: Canary | None = None
    """How the few are chosen and judged, for `Canary`."""

    rules = (
        Rule(
            ("canary", "strategy"),
            lambda r: r.canary is None or r.strategy == "Canary",
            "!has(self.canary) || self.strategy == 'Canary'",
            "canary needs strategy: Canary",
        ),
    )


class Tuning(Model):
    """Who decides how many requests each pod may have in flight. Used by the operator."""

    mode: Literal["Off", "Recommend", "Auto"] = "Off"
    """`Off`: the document's numbers, in each pod. `Recommend`: the same, and the operator
    writes what it would do into the status. `Auto`: the operator divides the account's limits
    among the pods, and finds them where they are not known. A bare `Off` is read as `false`
    by kubectl: quote it."""


class Tracing(Model):
    """Where spans of requests go."""

    otlp_endpoint: HttpUrl
    """An OTLP/HTTP receiver: `http://otel-collector:4318`. Needs the extra
    `mcp-gateway[tracing]`, which the container image has."""

    sample_ratio: Ratio = 0.01
    """The part of requests that begin a trace here. One that comes in with a sampled trace is
    always continued."""


class Monitoring(Model):
    """What the operator makes for the people who watch."""

    pod_monitor: bool = False
    """Make a PodMonitor, so that the Prometheus operator scrapes every pod."""

    prometheus_rule: bool = False
    """Make a PrometheusRule with the alerts that matter."""

    objective: Annotated[float, Field(ge=0.9, le=0.9999)] = 0.99
    """The part of chats that are to be answered: 0.99 is all but one in a hundred. The alerts
    about the error budget are measured by it."""

    runbooks: HttpUrl | None = None
    """Address of a folder with the pages of `docs/how-to/runbooks`, which alerts link to.
    Without it, the link is their path in the project's repository."""

    dashboard: bool = False
    """Make a ConfigMap with Grafana dashboards of this gateway, labelled `grafana_dashboard`."""

    tracing: Tracing | None = None
    """Where spans go. Without it: nowhere."""
