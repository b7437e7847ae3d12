"""What the simulator says: something of the prompt, so that a person sees life, then prose.

A token is a word with the space before it. The prose is written once and cut by table, so an
answer of any length costs a slice.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

ECHO_LIMIT = 200
"""Characters of the prompt that are repeated."""

_PROSE = (
    "That much I heard, and I am only a simulator: no model was asked, no token was billed,"
    " and nothing left this machine. I answer at the pace of a real provider, one word after"
    " another, and I keep its limits as strictly as it does. Send me more at once than the"
    " account allows and I refuse in its own words, with its own codes. Ask me to stream and"
    " you can watch these words arrive. Ask the gateway how long you waited, and it will tell"
    " you where every millisecond went. A river does not argue with the stones in its bed; it"
    " finds the shortest way that is free, and so should your requests. When I am slow, be"
    " patient; when I am busy, step back; when I am gone, go elsewhere. There is always"
    " another word after this one, until there is not."
)


def compose(prompt: str, length: int) -> list[bytes]:
    """The tokens of an answer of that length, which begins with the prompt's beginning.

    Each is a piece of a JSON string, without the quotes.
    """
    echo = prompt if len(prompt) <= ECHO_LIMIT else prompt[: ECHO_LIMIT - 1] + "…"
    tokens = _echo(echo)
    missing = length - len(tokens)
    if missing <= 0:
        return tokens[:length]
    whole, rest = divmod(missing, len(_ENCODED))
    return tokens + _ENCODED * whole + _ENCODED[:rest]


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


def bare(text: str) -> bytes:
    """A piece of a JSON string, without the quotes."""
    return msgspec.json.encode(text)[1:-1]


_ENCODED = [bare(" " + word) for word in _PROSE.split()]
