from __future__ import annotations

import json

import pytest

from mcp_gateway.server.message import STATUS_LINES, error_body


@pytest.mark.parametrize("status", [101, 200, 202, 204, 400, 413, 421, 429, 431, 499, 503])
def test_every_status_in_use_has_its_line(status: int) -> None:
    line = STATUS_LINES[status]
    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert line.endswith(b"\r\n")


def test_errors_have_the_shape_that_clients_of_openai_read() -> None:
    error = json.loads(error_body('a "quoted" text', "some_error", "code"))["error"]
    assert error == {
        "message": 'a "quoted" text',
        "type": "some_error",
        "param": None,
        "code": "code",
    }
