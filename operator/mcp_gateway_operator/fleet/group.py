"""The pods of one gateway: a channel each, one configuration, one rollout, one probe at a time.

`step` is called for every piece of news and at the time it asked for; it looks at everything
anew and says what each pod is to run. Nothing waits here.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from mcp_gateway.api import Canary
from mcp_gateway.api.control import PORT, REPORT_EVERY, Config, Grant, Ping, Probe, Report
from mcp_gateway_operator.facts import Document, FleetView, Key, Pod, PodConfig, Probed, Target
from mcp_gateway_operator.fleet import probing, rollout
from mcp_gateway_operator.fleet.channel import Channel, Dial
from mcp_gateway_operator.fleet.conversation import Pushed, Wanted, unobserved
from mcp_gateway_operator.fleet.probing import Asked
from mcp_gateway_operator.fleet.rollout import PodFacts, Trial
from mcp_gateway_operator.fleet.tuning import Views, peer_address, tuned_part, urgent
from mcp_gateway_operator.tuning import PodState

Identity = tuple[str, str, str]
"""Name, uid and address: a pod of another is another pod."""
LONGEST_LOOK: Final = 300.0
PATIENCE: Final = 60.0
"""Seconds that pods which serve are waited for before a document is promoted unheard."""


class Group:
    """What the fleet knows and does for one gateway.

    Args:
        key: whose.
        target: what is wanted.
        dialer: opens channels.
        changed: called when the view has changed.
        news: called when there may be something to tune: with True where that is urgent.
        reported: called for each report.
        end: runs the end of a channel, in a task that somebody owns.
        pushed: told of each answer to a configuration.
        port: of the pods' control ports.
        report_every: seconds between two reports of a busy pod.
    """

    def __init__(
        self,
        key: Key,
        target: Target,
        *,
        dialer: Dial,
        changed: Callable[[], None],
        news: Callable[[bool], None],
        reported: Callable[[], None],
        end: Callable[[Coroutine[Any, Any, None]], None],
        pushed: Pushed = unobserved,
        port: int = PORT,
        report_every: float = REPORT_EVERY,
    ) -> None:
        self._key = str(key)
        self._target = target
        self._tell_tuner = news
        self._count_report = reported
        self._report_every = report_every
        self._limits: Views = {}
        self._pushed = pushed
        self._dialer = dialer
        self._notify = changed
        self._end = end
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._channels: dict[Identity, Channel] = {}
        self._connected: set[Identity] = set()
        self._pods: dict[str, Pod] = {}
        self._trial: Trial | None = None
        self._promoted = 0
        self._rejected = 0
        self._rejection = ""
        self._asked = Asked()
        self._waiting = (0, 0.0)
        self._ids = itertools.count(1)
        self._messages: dict[tuple[int, int, int], Wanted] = {}
        self._shown = FleetView()
        self._timer: asyncio.TimerHandle | None = None
        self._stepping: asyncio.Handle | None = None

    @property
    def view(self) -> FleetView:
        """What is known, for the reconciler."""
        return self._shown

    @property
    def target(self) -> Target:
        """What is wanted."""
        return self._target

    def assign(self, target: Target) -> None:
        """State what is wanted."""
        before, self._target = self._target, target
        self._follow_pods()
        self.step()
        if tuned_part(before) != tuned_part(target):
            self._tell_tuner(False)

    def close(self) -> None:
        """End every channel, in tasks of the owner."""
        for handle in (self._timer, self._stepping):
            if handle is not None:
                handle.cancel()
        for channel in self._channels.values():
            self._end(channel.aclose())
        self._channels.clear()

    # --- pods ----------------------------------------------------------------------------

    def _follow_pods(self) -> None:
        reachable = {(p.name, p.uid, p.ip): p for p in self._target.pods if p.ip and not p.ended}
        for identity in [identity for identity in self._channels if identity not in reachable]:
            self._end(self._channels.pop(identity).aclose())
        for identity, pod in reachable.items():
            channel = self._channels.get(identity)
            if channel is not None:
                channel.follow(self._target.credentials)
                if pod.ready and not self._pods[pod.name].ready:
                    channel.hurry()
                continue
            channel = Channel(
                pod,
                self._port,
                self._target.credentials,
                dialer=self._dialer,
                changed=self._news,
                reported=self._reported,
                pushed=self._pushed,
                report_every=self._report_every,
            )
            self._channels[identity] = channel
            channel.start()
        self._pods = {pod.name: pod for pod in self._target.pods}

    def _channel(self, pod: Pod) -> Channel | None:
        return self._channels.get((pod.name, pod.uid, pod.ip))

    def _news(self) -> None:
        """Look soon, once for all news of this turn of the loop."""
        if self._stepping is None:
            self._stepping = self._loop.call_soon(self._stirred)

    def _stirred(self) -> None:
        self.step()
        connected = {identity for identity, c in self._channels.items() if c.talk.connected}
        if connected != self._connected:
            self._connected = connected
            self._tell_tuner(False)

    # --- tuning --------------------------------------------------------------------------

    def pod_states(self) -> Iterator[PodState]:
        """See `tuning.Tuned`."""
        born_here = self._target.born_here
        for pod in self._target.pods:
            if pod.ended:
                continue
            channel = self._channel(pod)
            talk = channel.talk if channel is not None else None
            yield PodState(
                gateway=self._key,
                uid=pod.uid,
                name=pod.name,
                address=peer_address(pod.ip),
                connected=talk is not None and talk.connected,
                deleting=pod.deleting,
                born_here=pod.uid in born_here,
                heard=talk.reported if talk is not None else None,
                report=talk.report if talk is not None else None,
            )

    def grant(self, uid: str, grant: Grant) -> None:
        """See `tuning.Tuned`."""
        for (_, identity, _), channel in self._channels.items():
            if identity == uid:
                channel.grant(grant)

    def show(self, limits: Views) -> None:
        """See `tuning.Tuned`."""
        self._limits = limits
        self._show()

    def _reported(self, before: Report | None, report: Report) -> None:
        self._count_report()
        if self._trial is not None:  # which judges by counts
            self._news()
        self._tell_tuner(urgent(before, report))

    # --- one look ------------------------------------------------------------------------

    def step(self) -> None:
        """Look at everything and act."""
        if self._stepping is not None:
            self._stepping.cancel()
            self._stepping = None
        now = self._loop.time()
        waits = [self._roll_out(now), self._probe(now), LONGEST_LOOK]
        for pod in self._pods.values():
            channel = self._channel(pod)
            if channel is not None:
                channel.want(self._wanted(pod.name))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.01, min(waits)), self.step)
        self._show()

    def _roll_out(self, now: float) -> float:
        """Move the rollout on; seconds until it wants to be looked at again."""
        target, wanted = self._target, self._target.wanted.generation
        if target.promoted is not None:
            self._promoted = max(self._promoted, target.promoted.generation)
        if wanted <= max(self._promoted, self._rejected):
            self._trial = None
            return LONGEST_LOOK
        if target.promoted is None:
            self._promote(wanted)
            return LONGEST_LOOK
        if target.rollout.strategy == "Canary":
            return self._try(target.rollout.canary or Canary(), now)
        self._trial = None
        return self._hear(wanted, now)

    def _hear(self, wanted: int, now: float) -> float:
        """Promote what a pod took, or what nobody is there to judge."""
        talks = [c.talk for p in self._pods.values() if (c := self._channel(p)) is not None]
        connected = [talk for talk in talks if talk.connected]
        if any(talk.generation == wanted for talk in connected):
            self._promote(wanted)
        elif not connected:
            # A leader that has only begun has no channels yet to pods that may refuse it.
            if self._waiting[0] != wanted:
                self._waiting = (wanted, now)
            left = self._waiting[1] + PATIENCE - now
            if left > 0.0 and any(pod.ready and not pod.deleting for pod in self._pods.values()):
                return left
            self._promote(wanted)
        return LONGEST_LOOK

    def _try(self, canary: Canary, now: float) -> float:
        wanted = self._target.wanted.generation
        if self._trial is None or self._trial.generation != wanted:
            self._trial = Trial(wanted)
        decision = rollout.decide(self._trial, canary, self._facts(wanted), now)
        self._trial = decision.trial
        if decision.ask:
            for channel in self._channels.values():
                channel.ask(Ping())
        if decision.verdict == "promote":
            self._promote(wanted)
        elif decision.verdict == "reject":
            self._trial, self._rejected = None, wanted
            self._rejection = decision.reason
        elif decision.trial.until:
            return decision.trial.until - now
        return LONGEST_LOOK

    def _promote(self, generation: int) -> None:
        self._trial, self._promoted = None, generation

    def _facts(self, candidate: int) -> dict[str, PodFacts]:
        facts = {}
        for pod in self._pods.values():
            channel = self._channel(pod)
            talk = channel.talk if channel is not None else None
            refused = talk.refused if talk is not None else None
            said_no = refused is not None and refused.generation == candidate
            facts[pod.name] = PodFacts(
                serves=pod.ready and not pod.deleting,
                connected=talk is not None and talk.connected,
                generation=talk.generation if talk is not None else 0,
                refused=str(refused) if said_no else "",
                failing="" if pod.deleting else pod.message or pod.failing,
                report=talk.report if talk is not None else None,
            )
        return facts

    def _wanted(self, pod: str) -> Wanted | None:
        """What a pod is to run now."""
        target = self._target
        if target.promoted is None or target.wanted.generation <= self._promoted:
            return self._message(target.wanted)
        tried = self._trial is not None and pod in self._trial.pods
        if tried or target.rollout.strategy != "Canary":
            taken_back = target.wanted.generation <= self._rejected
            return self._message(target.promoted if taken_back else target.wanted)
        return self._message(target.promoted)

    def _message(self, document: Document) -> Wanted:
        """The message that carries a document: the same object until something in it changes."""
        newest = self._target.wanted.generation
        key = (document.generation, self._target.epoch, newest)
        message = self._messages.get(key)
        if message is None:
            config = Config(
                generation=document.generation,
                epoch=self._target.epoch,
                document=dict(document.body),
            )
            kept = {k: m for k, m in self._messages.items() if k[1:] == key[1:]}
            message = Wanted.of(config, newest)
            self._messages = {**kept, key: message}
        return message

    # --- providers -----------------------------------------------------------------------

    def _probe(self, now: float) -> float:
        """Ask about providers when it is time; seconds until the next time."""
        self._hear_findings()
        # While a canary is watched, that is the configuration that most pods run.
        document = self._target.wanted
        if document.generation > self._promoted and self._target.promoted is not None:
            document = self._target.promoted
        names = provider_names(document)
        subject = (document.generation, names)
        wait = probing.due(self._asked, subject, now)
        if wait > 0.0:
            return wait
        running = {
            pod.name: channel.talk.generation
            for pod in self._pods.values()
            if (channel := self._channel(pod)) is not None
            and channel.talk.connected
            and not pod.deleting
        }
        chosen = probing.chosen(running, document.generation, self._asked.pod)
        if not chosen:
            return LONGEST_LOOK
        question = Probe(id=f"{self._target.epoch}.{next(self._ids)}", providers=list(names))
        found = tuple(probed for probed in self._asked.found if probed.provider in names)
        self._asked = Asked(subject, chosen, question.id, now, found)
        channel = self._channel(self._pods[chosen])
        assert channel is not None, "chosen among those with a channel"
        channel.ask(question)
        return probing.ANSWER_WITHIN

    def _hear_findings(self) -> None:
        asked = self._asked
        pod = self._pods.get(asked.pod)
        channel = self._channel(pod) if pod is not None else None
        answer = channel.talk.probed if channel is not None else None
        if not asked.id or answer is None or answer.id != asked.id:
            if asked.id and self._loop.time() - asked.at >= probing.ANSWER_WITHIN:
                self._asked = probing.answered(asked, ())
            return
        found = tuple(Probed(r.provider, r.state, r.message) for r in answer.results)
        self._asked = probing.answered(asked, found)

    # --- what is known -------------------------------------------------------------------

    def _show(self) -> None:
        view = FleetView(
            pods={pod.name: self._config(pod) for pod in self._pods.values()},
            providers=self._asked.found,
            promoted=self._promoted,
            rejected=self._rejected,
            rejection=self._rejection,
            limits=self._limits,
        )
        if view != self._shown:
            self._shown = view
            self._notify()

    def _config(self, pod: Pod) -> PodConfig:
        channel = self._channel(pod)
        if channel is None:
            return PodConfig(connected=False, problem="the pod has no address yet")
        talk = channel.talk
        refused = talk.refused
        return PodConfig(
            connected=talk.connected,
            generation=talk.generation,
            refused=refused.generation if refused is not None else 0,
            problem=str(refused) if refused is not None else talk.problem,
        )


def provider_names(document: Document) -> tuple[str, ...]:
    """Names of the providers of a document; those of simulators too."""
    spec = document.body.get("spec", {})
    return tuple(str(provider.get("name", "")) for provider in spec.get("providers", ()))
