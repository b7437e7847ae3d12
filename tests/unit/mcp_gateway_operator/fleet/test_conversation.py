from __future__ import annotations

import json
import random
from typing import Any

import pytest

from mcp_gateway.api.control import (
    HEARTBEAT,
    SILENCE,
    Ack,
    Config,
    Grant,
    Hello,
    Message,
    Ping,
    Pong,
    Probe,
    Probed,
    Refused,
    Report,
)
from mcp_gateway_operator.fleet.conversation import (
    ACK_WITHIN,
    FLOOD_MESSAGES,
    FLOOD_SECONDS,
    HELLO_WITHIN,
    MAX_INVALID,
    Conversation,
    GaveUp,
    Wanted,
)

START = 1000.0


def wanted(generation: int, epoch: int = 1, newest: int | None = None) -> Wanted:
    config = Config(generation=generation, epoch=epoch, document={"n": generation})
    return Wanted.of(config, generation if newest is None else newest)


def refused(generation: int, why: str = "no") -> Refused:
    return Refused.model_validate({"generation": generation, "problems": [{"message": why}]})


def talk(
    generation: int = 1, epoch: int = 1, want: Wanted | None = None, report_every: float = 5.0
) -> Conversation:
    """A conversation that has been opened and greeted."""
    conversation = Conversation("web-1", report_every=report_every)
    conversation.want(want)
    conversation.opened(START)
    say(conversation, Hello(pod="web-1", version="1", generation=generation, epoch=epoch))
    return conversation


def say(conversation: Conversation, message: Message, now: float = START) -> None:
    conversation.receive(message.encode(), now)


def say_all(conversation: Conversation, messages: list[Message]) -> None:
    for message in messages:
        say(conversation, message)


def sent(conversation: Conversation, now: float = START) -> list[dict[str, Any]]:
    return [json.loads(text) for text in conversation.outgoing(now)]


def types(conversation: Conversation, now: float = START) -> list[str]:
    return [message["type"] for message in sent(conversation, now)]


def test_nothing_is_said_before_the_greeting() -> None:
    conversation = Conversation("web-1")
    conversation.want(wanted(1))
    conversation.opened(START)

    assert conversation.outgoing(START) == []
    assert conversation.deadline() == START + HELLO_WITHIN
    with pytest.raises(GaveUp, match="says nothing"):
        conversation.outgoing(START + HELLO_WITHIN)


def test_what_is_wanted_is_sent_once() -> None:
    conversation = talk(want=wanted(2))

    assert sent(conversation) == [
        {"type": "config", "generation": 2, "epoch": 1, "document": {"n": 2}}
    ]
    assert sent(conversation) == []
    say(conversation, Ack(generation=2))
    assert sent(conversation) == []
    assert conversation.generation == 2


def test_a_pod_that_runs_it_already_is_left_in_peace() -> None:
    assert sent(talk(generation=2, epoch=1, want=wanted(2, epoch=1))) == []


def test_a_new_leader_says_it_again_so_that_the_pod_knows_who_leads() -> None:
    conversation = talk(generation=2, epoch=1, want=wanted(2, epoch=2))

    assert types(conversation) == ["config"]
    say(conversation, Ack(generation=2))
    conversation.want(wanted(2, epoch=2))
    assert types(conversation) == [], "another object that says the same is no news"


def test_a_refusal_is_kept_and_not_argued_with() -> None:
    conversation = talk(want=wanted(2))
    sent(conversation)
    say(conversation, refused(2, "spec is wrong"))

    assert str(conversation.refused) == "spec is wrong"
    assert conversation.generation == 1
    assert sent(conversation) == []
    conversation.want(wanted(3))
    assert types(conversation) == ["config"]
    say(conversation, Ack(generation=3))
    assert conversation.refused is None


def test_an_acknowledgement_that_comes_after_a_refusal_counts() -> None:
    conversation = talk(want=wanted(2))
    sent(conversation)
    say(conversation, refused(2, "the secret is missing"))
    say(conversation, Ack(generation=2))

    assert (conversation.generation, conversation.refused) == (2, None)
    assert sent(conversation) == []


def test_the_time_to_each_answer_is_told() -> None:
    answers: list[tuple[str, float]] = []
    conversation = Conversation("web-1", lambda *answer: answers.append(answer))
    conversation.opened(START)
    say(conversation, Hello(generation=1, epoch=1))
    conversation.want(wanted(2))
    sent(conversation, START + 1.0)
    say(conversation, Ack(generation=2), START + 1.5)
    say(conversation, Ack(generation=2), START + 9.0)
    conversation.want(wanted(3))
    sent(conversation, START + 10.0)
    say(conversation, refused(3), START + 12.0)

    assert answers == [("applied", 0.5), ("refused", 2.0)]


def test_something_newer_does_not_wait_for_an_answer() -> None:
    conversation = talk(want=wanted(2))
    sent(conversation)
    conversation.want(wanted(3))
    assert [message["generation"] for message in sent(conversation)] == [3]
    say(conversation, Ack(generation=2))
    assert sent(conversation) == []
    say(conversation, Ack(generation=3))
    assert conversation.generation == 3


def test_a_generation_of_ours_is_taken_back_by_number() -> None:
    conversation = talk(generation=5, want=wanted(4, newest=5))

    assert sent(conversation)[0]["takesBack"] == 5


def test_a_generation_that_we_do_not_know_is_not_taken_back() -> None:
    assert "takesBack" not in sent(talk(generation=9, want=wanted(4, newest=5)))[0]


def test_what_somebody_else_moved_is_said_once_more() -> None:
    conversation = talk(want=wanted(2))
    sent(conversation)
    say(conversation, Ack(generation=2))
    say(conversation, Ack(generation=7))
    assert types(conversation) == ["config"]
    say(conversation, refused(2, "leadership 1 has ended"))
    assert sent(conversation) == []


def test_a_pod_that_never_answers_is_given_up() -> None:
    conversation = talk(want=wanted(2))
    sent(conversation)
    for seconds in range(1, int(ACK_WITHIN)):
        say(conversation, Pong(), START + seconds)
        conversation.outgoing(START + seconds)
    say(conversation, Pong(), START + ACK_WITHIN)
    with pytest.raises(GaveUp, match="did not answer to generation 2"):
        conversation.outgoing(START + ACK_WITHIN)


def test_heartbeats_are_sent_and_missed() -> None:
    conversation = talk()
    assert conversation.deadline() == START + HEARTBEAT
    assert types(conversation, START + HEARTBEAT - 0.1) == []
    assert types(conversation, START + HEARTBEAT) == ["ping"]
    say(conversation, Pong(), START + HEARTBEAT)
    assert types(conversation, START + 2 * HEARTBEAT) == ["ping"]
    with pytest.raises(GaveUp, match="missed two heartbeats"):
        conversation.outgoing(START + HEARTBEAT + SILENCE)


def test_questions_go_out_while_there_is_a_channel() -> None:
    conversation = talk()
    conversation.ask(Probe(id="1", providers=["kimi"]))
    conversation.ask(Ping())
    assert types(conversation, START + 10.0) == ["probe", "ping"]
    assert conversation.deadline() == START + 10.0 + HEARTBEAT
    conversation.closed("lost")
    conversation.ask(Ping())
    conversation.opened(START + 20.0)
    say(conversation, Hello(), START + 20.0)
    assert types(conversation, START + 20.0) == []


def test_facts_outlive_the_channel() -> None:
    conversation = talk(generation=4)
    say(conversation, Report(requests=1, errors=0, since=5.0))
    say(conversation, Probed(id="1", results=[]))
    conversation.closed("connection lost")

    assert not conversation.connected
    assert (conversation.generation, conversation.problem) == (4, "connection lost")
    assert conversation.report is not None
    assert conversation.probed is not None


def test_after_a_reconnect_the_pods_own_word_counts() -> None:
    conversation = talk(want=wanted(2))
    sent(conversation)
    say(conversation, Ack(generation=2))
    conversation.closed("connection lost")
    conversation.opened(START + 5.0)
    say(conversation, Hello(generation=1), START + 5.0)  # it restarted and read an older file

    assert types(conversation, START + 5.0) == ["config"]


def test_a_refusal_is_forgotten_when_the_pod_turns_out_to_run_it() -> None:
    conversation = talk(want=wanted(2))
    sent(conversation)
    say(conversation, refused(2))
    conversation.opened(START + 5.0)
    say(conversation, Hello(generation=2, epoch=1), START + 5.0)

    assert conversation.refused is None


def test_an_address_that_went_to_another_pod_is_left() -> None:
    conversation = Conversation("web-1")
    conversation.opened(START)
    with pytest.raises(GaveUp, match="now belongs to pod web-2"):
        say(conversation, Hello(pod="web-2"))
    assert not conversation.connected


def test_garbage_is_passed_over_a_few_times() -> None:
    conversation = talk()
    for _ in range(MAX_INVALID - 1):
        conversation.receive("{", START)
    with pytest.raises(GaveUp, match="sends garbage"):
        conversation.receive("{", START)


def test_garbage_in_place_of_a_greeting_ends_it() -> None:
    for text in ("{", Ack(generation=1).encode()):
        conversation = Conversation("web-1")
        conversation.opened(START)
        with pytest.raises(GaveUp, match="sends garbage"):
            conversation.receive(text, START)


def test_what_a_newer_pod_adds_is_passed_over() -> None:
    conversation = talk()
    conversation.receive('{"type":"confession"}', START)

    assert conversation.connected


@pytest.mark.parametrize("pace", [5.0, 1.0, 0.05])
def test_a_flood_ends_it_and_a_talkative_pod_does_not(pace: float) -> None:
    honest = int(FLOOD_SECONDS / pace)
    conversation = talk(report_every=pace)
    for _ in range(FLOOD_MESSAGES + 2 * honest):
        say(conversation, Pong())
    flood: list[Message] = [Pong() for _ in range(3 * honest)]
    with pytest.raises(GaveUp, match="floods"):
        say_all(conversation, flood)
    conversation = talk(report_every=pace)
    for number in range(10 * FLOOD_MESSAGES):
        # A report at each turn, and one that answers a grant.
        say(conversation, Report(requests=number, errors=0, since=5.0), START + number * pace)
        say(conversation, Report(requests=number, errors=0, since=5.0), START + number * pace)


def test_a_report_is_kept_with_its_time() -> None:
    conversation = talk()
    assert conversation.reported is None
    say(conversation, Report(requests=1, errors=0, since=5.0), START + 3.0)
    assert conversation.reported == START + 3.0
    assert conversation.report == Report(requests=1, errors=0, since=5.0)


def grant(sequence: int) -> Grant:
    return Grant(epoch=1, sequence=sequence)


def test_only_the_newest_grant_is_sent_and_once() -> None:
    conversation = talk()
    conversation.grant(grant(1))
    conversation.grant(grant(2))
    assert [message["sequence"] for message in sent(conversation)] == [2]
    assert sent(conversation) == []
    conversation.grant(grant(3))
    assert [message["sequence"] for message in sent(conversation)] == [3]


def test_a_grant_follows_the_configuration_that_carries_its_epoch() -> None:
    conversation = talk(want=wanted(2))
    conversation.grant(grant(1))
    assert types(conversation) == ["config", "grant"]


def test_a_grant_is_said_again_on_the_next_channel() -> None:
    conversation = talk()
    conversation.grant(grant(4))
    sent(conversation)
    conversation.closed("connection lost")
    conversation.opened(START + 1.0)
    assert sent(conversation, START + 1.0) == []
    say(conversation, Hello(generation=1, epoch=1), START + 1.0)
    assert [message["sequence"] for message in sent(conversation, START + 1.0)] == [4]


def test_a_report_that_shows_our_epoch_is_asked_for_once() -> None:
    early = talk(epoch=1, want=wanted(2, epoch=2))
    say(early, Report(requests=1, errors=0, since=5.0, epoch=1))
    assert types(early) == ["config", "ping"], "the report came before the configuration went"
    late = talk(epoch=1, want=wanted(2, epoch=2))
    assert types(late) == ["config"]
    for _ in range(3):
        say(late, Report(requests=1, errors=0, since=5.0, epoch=1))
    assert types(late) == ["ping"]
    say(late, Ack(generation=2))
    say(late, Report(requests=1, errors=0, since=5.0, epoch=2))
    assert types(late) == []
    settled = talk(epoch=2, want=wanted(1, epoch=2))
    say(settled, Report(requests=1, errors=0, since=5.0, epoch=2))
    assert types(settled) == []


def test_a_report_is_answered_to_by_nobody() -> None:
    conversation = talk()
    report = Report(requests=1, errors=0, since=5.0)
    assert conversation.receive(report.encode(), START) == report
    assert conversation.receive('{"type":"confession"}', START) is None
    assert sent(conversation) == []


class HonestPod:
    """A pod that obeys the rules of the channel, behind one that breaks now and then."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.running = 1
        self.epoch = 0
        self.inbox: list[dict[str, Any]] = []

    def greet(self, now: float) -> None:
        self.inbox.clear()
        self.conversation.opened(now)
        hello = Hello(pod="web-1", generation=self.running, epoch=self.epoch)
        say(self.conversation, hello, now)

    def listen(self, now: float) -> None:
        try:
            self.inbox += sent(self.conversation, now)
        except GaveUp as exc:
            self.conversation.closed(str(exc))
            self.greet(now)

    def read(self, now: float) -> None:
        while self.inbox:
            message = self.inbox.pop(0)
            answer = self.take(message) if message["type"] == "config" else Pong()
            say(self.conversation, answer, now)

    def take(self, config: dict[str, Any]) -> Message:
        self.epoch = max(self.epoch, config["epoch"])
        withdrawn = config.get("takesBack", -1) >= self.running
        if config["generation"] < self.running and not withdrawn:
            return refused(config["generation"])
        self.running = config["generation"]
        return Ack(generation=self.running)


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_of_events_the_pod_ends_with_what_is_wanted(seed: int) -> None:
    rng = random.Random(seed)
    conversation, now, generation = Conversation("web-1"), START, 1
    pod = HonestPod(conversation)
    target = wanted(generation)
    conversation.want(target)
    pod.greet(now)
    for _ in range(200):
        now += rng.random() * 3
        event = rng.randrange(5)
        if event == 0:
            generation += 1
            target = wanted(generation, epoch=1 + generation // 5)
            conversation.want(target)
        elif event == 1 and rng.random() < 0.3:
            conversation.closed("lost")
            pod.greet(now)
        elif event == 2:
            pod.read(now)
        pod.listen(now)
    for _ in range(2):
        pod.read(now)
        pod.listen(now)

    assert (pod.running, pod.epoch) == (generation, target.config.epoch)
    assert conversation.generation == generation
