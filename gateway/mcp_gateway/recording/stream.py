"""Put the events of a streamed answer together to the one answer they were pieces of.

Done when the record is stored, so the request path only keeps references to bytes it had
anyway. A stream that broke gives what had arrived of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mcp_gateway.recording import foreign_json
from mcp_gateway.recording.redact import UNREADABLE


def as_text(data: bytes) -> str:
    """What is no chunk, as it is."""
    return data.decode("utf-8", "replace")


def assemble(events: Iterable[bytes], *, loose: Callable[[bytes], str] = as_text) -> bytes:
    """One `chat.completion` object from the data of `chat.completion.chunk` events.

    Strings in deltas are joined, tool calls by their index; the last value of everything else
    wins.

    Args:
        events: the data of each.
        loose: makes a text of what is no chunk; it is kept under `unread`.

    Raises:
        RecursionError: a chunk is nested too deep to be put together with the others.
    """
    answer: dict[str, Any] = {"object": "chat.completion"}
    choices: dict[int, dict[str, Any]] = {}
    unread: list[str] = []
    for data in events:
        if data.strip() == b"[DONE]":
            continue
        try:
            chunk = foreign_json.read(data)
        except RecursionError:
            unread.append(UNREADABLE)
            continue
        except ValueError:
            unread.append(loose(data))
            continue
        if isinstance(chunk, dict):
            _add_chunk(answer, choices, chunk)
        else:
            unread.append(loose(data))
    answer["choices"] = [_finished(choices[index]) for index in sorted(choices)]
    if unread:
        answer["unread"] = unread
    return foreign_json.write(answer)


def _add_chunk(
    answer: dict[str, Any], choices: dict[int, dict[str, Any]], chunk: dict[str, Any]
) -> None:
    for name, value in chunk.items():
        if name not in {"choices", "object"} and value is not None:
            answer[name] = value
    listed = chunk.get("choices")
    for piece in listed if isinstance(listed, list) else ():
        if isinstance(piece, dict):
            index = piece.get("index", 0)
            number = index if isinstance(index, int) else 0
            _add_choice(choices.setdefault(number, {"index": number, "message": {}}), piece)


def _add_choice(choice: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        if name == "delta" and isinstance(value, dict):
            _merge(choice["message"], value)
        elif name != "index" and value is not None:
            choice[name] = value


def _merge(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        known = whole.get(name)
        if isinstance(value, str) and name not in _NAMES:
            if not isinstance(known, _Text):
                known = whole[name] = _Text()
            known.append(value)
        elif name == "tool_calls" and isinstance(value, list):
            if not isinstance(known, _Calls):
                known = whole[name] = _Calls()
            known.add(value)
        elif isinstance(value, dict):
            if type(known) is not dict:
                known = whole[name] = {}
            _merge(known, value)
        elif value is not None:
            whole[name] = value


_NAMES = frozenset({"role", "id", "type", "name"})
"""Strings of a delta that are said once and whole, where said twice they are not joined."""


class _Text(list[str]):
    """Pieces of a text. Joined once at the end: joining as they come is quadratic."""


class _Calls(dict[int, dict[str, Any]]):
    """Tool calls by the index that their pieces carry."""

    def add(self, pieces: list[Any]) -> None:
        for position, piece in enumerate(pieces):
            if isinstance(piece, dict):
                index = piece.get("index", position)
                number = index if isinstance(index, int) else position
                said = {name: value for name, value in piece.items() if name != "index"}
                _merge(self.setdefault(number, {}), said)


def _finished(value: Any) -> Any:
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, _Calls):
        return [_finished(value[index]) for index in sorted(value)]
    if isinstance(value, dict):
        return {name: _finished(part) for name, part in value.items()}
    return value
