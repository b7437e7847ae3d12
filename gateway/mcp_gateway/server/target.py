"""The request target: which form it has, and the path and query in it."""

from __future__ import annotations

SCHEMES = (b"http://", b"https://")


def split_target(method: str, target: bytes, host: bytes) -> tuple[str, bytes]:
    """Return path and raw query of a request target. Percent-encoding is left alone.

    RFC 9112 §3.2: origin-form is what clients send; absolute-form must be understood, and its
    authority must then agree with Host, or two readers of the request see two hosts;
    asterisk-form is for OPTIONS.

    Raises:
        ValueError: none of these forms, a fragment, or two different hosts.
    """
    if b"#" in target:
        raise ValueError("a request target has no fragment")
    if not target.startswith(b"/"):
        target = _path_of(method, target, host)
    path, _, query = target.partition(b"?")
    return path.decode("latin-1"), query


def _path_of(method: str, target: bytes, host: bytes) -> bytes:
    if target == b"*" and method == "OPTIONS":
        return target
    lower = target[:8].lower()
    for scheme in SCHEMES:
        if lower.startswith(scheme):
            authority, slash, rest = target[len(scheme) :].partition(b"/")
            if authority.lower() != host.lower():
                raise ValueError("the request target names another host than Host does")
            return slash + rest or b"/"
    raise ValueError("the request target is neither a path nor an http URL")
