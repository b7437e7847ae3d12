from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.fields import (
    DOCUMENT,
    FORMS,
    RE2,
    Duration,
    DurationOrZero,
    HttpUrl,
    Model,
    Name,
    Observed,
    Rule,
    Size,
    check_re2,
    exactly_one,
    format_duration,
    format_size,
    list_by,
    parse_duration,
    parse_size,
    yaml_name,
)


class Part(Model):
    wait: Duration = 1.0
    pause: DurationOrZero = 0.0
    size: Size = 1024
    pattern: RE2 | None = None
    name: Name = "part"
    url: HttpUrl | None = None


class Range(Model):
    lower_end: int = 0
    upper_end: int = 10
    step_size: int = 1

    rules = (
        Rule(
            ("lower_end", "upper_end"),
            lambda r: r.lower_end <= r.upper_end,
            "self.lowerEnd <= self.upperEnd",
            "lowerEnd must be at most upperEnd",
        ),
        Rule(("step_size",), lambda r: r.step_size > 0, "", "stepSize must be more than 0"),
    )


def read(**fields: object) -> Part:
    return Part.model_validate(fields, context={DOCUMENT: True}, by_alias=True, by_name=False)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("30s", 30.0),
        ("1h30m", 5400.0),
        ("7d", 604_800.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("0s", 0.0),
        ("0.1ms", 0.0001),
    ],
)
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "30 s", "-1s", "1S", "1e3s", "1s " * 2, "1w", "٣s", "1s" * 6],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="500ms"):
        parse_duration(text)


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.0005, 59.5, 5400.0, 604_800.0, 86_461.25])
def test_a_duration_is_written_as_it_is_read(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.5, "500ms"), (30.0, "30s"), (5400.0, "1h30m"), (0.0005, "0.5ms")],
)
def test_a_duration_is_written_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("64Ki", 65_536), ("4Mi", 4_194_304), ("1.5Gi", 1_610_612_736), ("500k", 500_000)],
)
def test_sizes_are_read_as_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "Mi", "4MB", "4 Mi", "-1", "1e6", "4mi", "1.2345Mi"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="4Mi"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (1, "1"), (1024, "1Ki"), (4_194_304, "4Mi"), (1_000, "1000")]
)
def test_a_size_is_written_without_loss(size: int, text: str) -> None:
    assert format_size(size) == text


def test_code_gives_seconds_and_bytes_as_numbers() -> None:
    part = Part(wait=2, size=10)

    assert (part.wait, part.size) == (2.0, 10)
    assert isinstance(part.wait, float)


@pytest.mark.parametrize("given", [30, 1.5, True, None, ["1s"]])
def test_a_document_gives_a_duration_with_its_unit(given: object) -> None:
    with pytest.raises(ValidationError, match="with its unit"):
        read(wait=given)


@pytest.mark.parametrize("given", [30, True, ["1Ki"]])
def test_a_document_gives_a_size_with_its_unit(given: object) -> None:
    with pytest.raises(ValidationError, match="with its unit"):
        read(size=given)


@pytest.mark.parametrize("given", [True, "x", [1]])
def test_code_can_not_give_what_is_no_quantity(given: object) -> None:
    with pytest.raises(ValidationError):
        Part.model_validate({"wait": given})
    with pytest.raises(ValidationError):
        Part.model_validate({"size": given})


def test_zero_is_a_duration_only_where_it_means_something() -> None:
    assert read(pause="0s").pause == 0.0
    with pytest.raises(ValidationError, match="longer than 0s"):
        read(wait="0s")
    with pytest.raises(ValidationError, match="more than 0 bytes"):
        read(size="0Mi")


def test_quantities_are_written_in_the_documents_form() -> None:
    assert Part().model_dump(by_alias=True, mode="json") == {
        "wait": "1s",
        "pause": "0s",
        "size": "1Ki",
        "pattern": None,
        "name": "part",
        "url": None,
    }


def test_an_expression_is_one_of_re2() -> None:
    assert check_re2("(kimi|moonshot)-.*") == "(kimi|moonshot)-.*"
    for pattern in ("(", "a(?=b)", r"(a)\1", "*"):
        with pytest.raises(ValueError, match="not an RE2 expression"):
            check_re2(pattern)


@pytest.mark.parametrize("url", ["https://a.b/v1", "http://127.0.0.1:80", "http://[::1]:80/x"])
def test_an_address_is_http_or_https(url: str) -> None:
    assert read(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a",
        "a.b/v1",
        "https://",
        "https://u:p@a/",
        "https://a/?q",
        "https://a/#f",
        "http://a b",
    ],
)
def test_an_address_holds_no_user_query_or_fragment(url: str) -> None:
    with pytest.raises(ValidationError):
        read(url=url)


@pytest.mark.parametrize("name", ["a", "kimi-2", "0"])
def test_a_name_is_a_dns_label(name: str) -> None:
    assert read(name=name).name == name


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "a_b", "a" * 64, "a\n"])
def test_a_name_is_nothing_else(name: str) -> None:
    with pytest.raises(ValidationError):
        read(name=name)


def test_keys_are_camel_case_in_a_document_and_nothing_else() -> None:
    assert yaml_name("max_connections") == "maxConnections"
    assert yaml_name("target_cpu") == "targetCPU"
    with pytest.raises(ValidationError):
        Range.model_validate({"lower_end": 1}, by_alias=True, by_name=False)


def test_models_are_closed_strict_and_frozen() -> None:
    with pytest.raises(ValidationError):
        Range.model_validate({"other": 1})
    with pytest.raises(ValidationError):
        Range.model_validate({"lowerEnd": "1"})
    with pytest.raises(ValidationError):
        Range().lower_end = 2


def test_what_is_observed_is_open_to_later_fields() -> None:
    class Seen(Observed):
        count: int = 0

    assert Seen.model_validate({"count": 1, "later": 2}).count == 1


def test_every_broken_rule_is_told() -> None:
    with pytest.raises(ValidationError) as refused:
        Range(lower_end=20, step_size=0)

    (error,) = refused.value.errors()
    assert error["msg"] == "lowerEnd must be at most upperEnd; stepSize must be more than 0"


def test_a_field_is_spelled_as_in_the_document() -> None:
    assert Range.spelled("lower_end.inner_part") == ("lowerEnd", "innerPart")


def test_rules_for_an_api_server_are_those_it_can_judge() -> None:
    assert Range.cel_rules() == [
        {
            "rule": "self.lowerEnd <= self.upperEnd",
            "message": "lowerEnd must be at most upperEnd",
            "fieldPath": ".lowerEnd",
        }
    ]


def test_exactly_one_counts_what_is_set() -> None:
    assert exactly_one(None, 0, None)
    assert not exactly_one(None, None)
    assert not exactly_one(1, 2)


def test_a_list_can_be_known_by_a_field() -> None:
    assert list_by("name")["x-kubernetes-list-map-keys"] == ["name"]


def test_every_form_is_said_in_words() -> None:
    assert all(words and words[0].islower() for words in FORMS.values())
