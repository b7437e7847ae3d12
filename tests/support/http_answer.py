"""Reads HTTP responses as a client does, so that tests look at statuses and not at bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httptools


@dataclass
class Answer:
    """One response. Header names are lower case; a repeated field keeps its last value."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def events(self) -> list[str]:
        """The data of each server-sent event; comments appear as `: text`."""
        found = []
        for block in self.body.decode().split("\n\n"):
            lines = block.split("\n")
            found += [line for line in lines if line.startswith(":")]
            data = [line[6:] for line in lines if line.startswith("data: ")]
            if data:
                found.append("\n".join(data))
        return found


class _Reader:
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self.answers.append(Answer(0))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answers[-1].headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.answers[-1].status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.answers[-1].body += body

    def on_message_complete(self) -> None:
        self.answers[-1].whole = True


def read_answers(data: bytes) -> list[Answer]:
    """Every response in `data`, informational ones included; the last may not be whole."""
    reader = _Reader()
    reader.parser.feed_data(data)
    return reader.answers
