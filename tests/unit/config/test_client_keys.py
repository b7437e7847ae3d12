from __future__ import annotations

import re
from hashlib import sha256

import pytest

from mcp_gateway.config.client_keys import ClientKey, create, parse
from mcp_gateway.errors import ConfigError

DIGEST = "ab" * 32
OTHER = "cd" * 32


def test_a_new_key_is_kept_as_its_digest() -> None:
    key, line = create("alice")

    assert re.fullmatch(r"mgw_[A-Za-z0-9_-]{43}", key)
    assert key not in line
    assert parse(line) == [ClientKey("alice", sha256(key.encode()).digest())]


def test_no_two_keys_are_the_same() -> None:
    assert create("alice")[0] != create("alice")[0]


def test_a_new_key_carries_its_models_and_rate() -> None:
    _, line = create("batch", models="kimi-.*", rate="60/1m")

    (key,) = parse(line)
    assert (key.models, key.requests_per_second, key.burst) == ("kimi-.*", 1.0, None)


@pytest.mark.parametrize("name", ["", "a b", "#a", "a\nb", "ä", "x" * 64, "a:b"])
def test_a_clients_name_is_plain(name: str) -> None:
    with pytest.raises(ConfigError, match="client's name"):
        create(name)


@pytest.mark.parametrize(
    "options",
    [{"models": "("}, {"models": "a b"}, {"models": ""}, {"rate": "60"}, {"rate": "1/0s"}],
)
def test_options_of_a_new_key_have_a_meaning(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        create("alice", **options)


def test_a_file_has_comments_and_empty_lines() -> None:
    text = f"""
    # who calls us
    alice  sha256:{DIGEST}   # from the web
    batch  sha256:{OTHER.upper()} models=(a#b|c) rate=5/1s burst=10
    """

    assert parse(text) == [
        ClientKey("alice", bytes.fromhex(DIGEST)),
        ClientKey("batch", bytes.fromhex(OTHER), "(a#b|c)", 5.0, 10),
    ]
    assert parse("") == []


def test_a_client_may_have_two_keys_while_one_is_changed() -> None:
    assert [key.name for key in parse(f"a sha256:{DIGEST}\na sha256:{OTHER}")] == ["a", "a"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alice", "expected sha256:"),
        ("alice sk-secret", "expected sha256:"),
        ("alice sha256:abc", "expected sha256:"),
        (f"al/ice sha256:{DIGEST}", "client's name first"),
        (f"alice sha256:{DIGEST} rates=1/1s", "expected models=, rate= or burst="),
        (f"alice sha256:{DIGEST} burst", "expected models=, rate= or burst="),
        (f"alice sha256:{DIGEST} burst=1 burst=2", "burst= is given twice"),
        (f"alice sha256:{DIGEST} burst=0", "expected burst"),
        (f"alice sha256:{DIGEST} rate=fast", "expected rate"),
        (f"alice sha256:{DIGEST} rate=1/soon", "expected a duration"),
        (f"alice sha256:{DIGEST} rate=1/0s", "expected rate"),
        (f"alice sha256:{DIGEST} models=(", "not an RE2 expression"),
    ],
)
def test_a_line_without_a_meaning_is_told_by_number(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(f"# one\n{line}")

    assert "line 2" in str(refused.value)
    assert message in str(refused.value)
    assert "sk-secret" not in str(refused.value)


def test_every_wrong_line_is_told_and_a_key_given_twice() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(f"a sha256:{DIGEST}\nb\nc sha256:{DIGEST}")

    assert "line 2: expected sha256:" in str(refused.value)
    assert "line 3: the key of line 1 again" in str(refused.value)
