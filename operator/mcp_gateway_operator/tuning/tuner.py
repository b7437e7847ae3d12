"""The tuner: what every pod may use of every account, decided anew at each tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcp_gateway.api.control import Grant
from mcp_gateway.api.quota import LimitReport, Quota
from mcp_gateway_operator.tuning.fact import AccountSpec, PodState
from mcp_gateway_operator.tuning.pace import Pace
from mcp_gateway_operator.tuning.view import Decision, LimitView


class Tuner:
    """Divides accounts among pods.

    Args:
        pace: its time constants.
        epoch: number of the leadership it speaks for.
        known: ceilings found by the leader before, by gateway, provider and model.
    """

    def __init__(
        self, pace: Pace, epoch: int, known: Mapping[tuple[str, str, str], int] | None = None
    ) -> None:
        self._pace = pace
        self._epoch = epoch
        self._known = dict(known or {})
        self._sent: dict[str, Grant] = {}

    def tick(
        self, now: float, pods: Sequence[PodState], specs: Mapping[tuple[str, str], AccountSpec]
    ) -> Decision:
        """Decide.

        Args:
            now: seconds of a monotonic clock, the one that `PodState.heard` is told by.
            pods: every pod that is not known to be gone, of every gateway.
            specs: by gateway and provider.
        """
        members: dict[tuple[str, str], list[tuple[PodState, str, LimitReport]]] = {}
        for pod in pods:
            for limit in pod.report.limits if pod.report is not None else ():
                members.setdefault((limit.account, limit.model), []).append(
                    (pod, limit.provider, limit)
                )
        quotas: dict[str, list[Quota]] = {}
        views: dict[tuple[str, str], list[LimitView]] = {}
        for (account, model), found in members.items():
            specified = [
                specs[pod.gateway, provider]
                for pod, provider, _ in found
                if (pod.gateway, provider) in specs
            ]
            stated = [s.limits.concurrency for s in specified if s.limits.concurrency is not None]
            ceiling = min(stated) if stated else 2 * len(found)
            each, rest = divmod(ceiling, len(found))
            shares: dict[tuple[str, str], dict[str, int]] = {}
            for n, (pod, provider, _) in enumerate(sorted(found, key=lambda m: m[0].uid)):
                spec = specs.get((pod.gateway, provider))
                share = each + (n < rest)
                shares.setdefault((pod.gateway, provider), {})[pod.name] = share
                if spec is not None and spec.mode == "Auto":
                    quotas.setdefault(pod.uid, []).append(
                        Quota(provider=provider, model=model, share=share, ceiling=ceiling)
                    )
            for key, of_pods in shares.items():
                views.setdefault(key, []).append(
                    LimitView(
                        model=model,
                        account=account,
                        ceiling=ceiling,
                        stated=min(stated) if stated else None,
                        granted=ceiling,
                        in_flight=sum(limit.in_flight for _, _, limit in found),
                        waiting=sum(limit.waiting for _, _, limit in found),
                        refused=0,
                        warm=0,
                        state="Idle",
                        reason="divided evenly",
                        shares=of_pods,
                    )
                )
        return Decision(self._grants(pods, quotas), views, [])

    def _grants(
        self, pods: Sequence[PodState], quotas: Mapping[str, list[Quota]]
    ) -> dict[str, Grant]:
        grants: dict[str, Grant] = {}
        for pod in pods:
            wanted = quotas.get(pod.uid)
            sent = self._sent.get(pod.uid)
            if not (wanted and pod.connected) or (sent is not None and sent.quotas == wanted):
                continue
            grants[pod.uid] = self._sent[pod.uid] = Grant(
                epoch=self._epoch,
                sequence=1 if sent is None else sent.sequence + 1,
                report_every=self._pace.tick,
                quotas=wanted,
            )
        return grants
