"""What the simulator says: something of the prompt, so that a person sees life, then prose.

A token is a word with the space before it. The prose is written once and cut by table, so an
answer of any length costs a slice. It has whole sentences only: what is left after the last one
that fits is filled by a sentence of that very length.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate

import msgspec

ECHO_LIMIT = 200
"""Characters of the prompt that are repeated."""

_SHORTEST_ECHO = 4
"""Tokens below which nothing of the prompt would fit behind "You said"."""

_PROSE = (
    "That much I heard, and I am only a simulator.",
    "No model was asked, no token was billed, and nothing left this machine.",
    "I answer at the pace of a real provider, one word after another.",
    "I keep its limits as strictly as it does.",
    "Send me more at once than the account allows and I refuse in its own words.",
    "Ask me to stream and you can watch these words arrive.",
    "Ask the gateway how long you waited, and it tells where every millisecond went.",
    "A river does not argue with the stones in its bed.",
    "It finds the shortest way that is free, and so should your requests.",
    "When I am slow, be patient; when I am busy, step back.",
    "When I am gone, go elsewhere.",
    "There is always another word after this one, until there is not.",
)

_LAST = (
    "Done.",
    "That's all.",
    "That is all.",
    "That is it, then.",
    "There is nothing to add.",
    "I have nothing more to say.",
    "I have said all that I know.",
    "With this my answer is at an end.",
    "This is as far as a simulator can go.",
    "Nobody asked for more, so here I come to rest.",
    "Here I stop, because this is as long as I am.",
    "Ask me again, and I will tell you much the same thing.",
    "I could go on like this all day, but you have other plans.",
    "If you want a better answer than this one, ask a model of flesh.",
    "That was my whole answer, and it had just as many words as it should.",
)
"""A sentence of one word, of two, and so on: one more than the longest of the prose needs."""


def compose(prompt: str, length: int) -> list[bytes]:
    """The tokens of an answer of that length, which begins with the prompt's beginning.

    Each is a piece of a JSON string, without the quotes.
    """
    echo = prompt if len(prompt) <= ECHO_LIMIT else prompt[: ECHO_LIMIT - 1] + "…"
    tokens = _echo(echo)
    missing = length - len(tokens)
    if missing >= 0:
        return tokens + _prose(missing)
    if length < _SHORTEST_ECHO:
        first, *rest = _prose(length)
        return [first.lstrip(), *rest]
    return [*tokens[: length - 1], tokens[length - 1] + bare("…”.")]


def json_string(tokens: list[bytes]) -> bytes:
    """The whole text as a JSON string, with its quotes."""
    return b'"%b"' % b"".join(tokens)


def estimate_tokens(characters: int) -> int:
    """Tokens of a text of that many characters: four to one, as both vendors put it."""
    return max(1, characters // 4)


@lru_cache(maxsize=1024)
def _echo(text: str) -> list[bytes]:
    first, *rest = f"You said: “{' '.join(text.split())}”.".split(" ")
    return [bare(first), *[bare(" " + word) for word in rest]]


@lru_cache(maxsize=1024)
def _prose(length: int) -> list[bytes]:
    """Whole sentences of that many words together."""
    whole, rest = divmod(length, len(_ENCODED))
    ends = [end for end in _ENDS if end <= rest]
    fits = ends[-1] if ends else 0
    tokens = _ENCODED * whole + _ENCODED[:fits]
    return tokens + _CLOSING[rest - fits - 1] if rest > fits else tokens


def bare(text: str) -> bytes:
    """A piece of a JSON string, without the quotes."""
    return msgspec.json.encode(text)[1:-1]


def _tokens(sentence: str) -> list[bytes]:
    return [bare(" " + word) for word in sentence.split()]


_ENCODED = [token for sentence in _PROSE for token in _tokens(sentence)]
_ENDS = list(accumulate(len(sentence.split()) for sentence in _PROSE))
_CLOSING = [_tokens(sentence) for sentence in _LAST]
