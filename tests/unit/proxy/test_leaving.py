from mcp_gateway.proxy.leaving import AtProvider


def test_what_was_sent_by_a_former_key_counts_for_the_former_account_until_it_ends() -> None:
    sent = AtProvider("old")
    first, second = sent.began(""), sent.began("glm-5")
    sent.rotate("new")
    third = sent.began("")
    assert sent.leaving == {("old", ""): 1, ("old", "glm-5"): 1}
    sent.ended(third, "")
    assert sent.leaving == {("old", ""): 1, ("old", "glm-5"): 1}
    sent.ended(first, "")
    sent.ended(second, "glm-5")
    assert sent.leaving == {}


def test_the_same_key_is_the_same_account() -> None:
    sent = AtProvider("old")
    sent.began("")
    sent.rotate("old")
    assert sent.leaving == {}


def test_a_key_that_comes_back_counts_what_it_left() -> None:
    sent = AtProvider("a")
    first = sent.began("")
    sent.rotate("b")
    sent.rotate("a")
    assert sent.leaving == {}
    second = sent.began("")
    sent.ended(first, "")
    sent.rotate("b")
    assert sent.leaving == {("a", ""): 1}
    sent.ended(second, "")
    assert sent.leaving == {}
