"""GLM (Zhipu, Z.ai): what its refusals mean.

Source: the vendor's list of business error codes (docs.z.ai/api-reference/api-code). The HTTP
status is coarse (429 for concurrency and an empty balance alike): the code decides.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from mcp_gateway.providers import refusal
from mcp_gateway.providers.base import RefusalKind
from mcp_gateway.providers.openai_chat import OpenAIChatProvider

_KINDS = {
    "1113": RefusalKind.QUOTA,
    "1120": RefusalKind.SERVER,
    "1200": RefusalKind.SERVER,
    "1211": RefusalKind.MODEL,
    "1230": RefusalKind.SERVER,
    "1234": RefusalKind.SERVER,
    "1302": RefusalKind.CONCURRENCY,
    "1303": RefusalKind.FREQUENCY,
    "1304": RefusalKind.QUOTA,
    "1305": RefusalKind.OVERLOAD,
    "1308": RefusalKind.QUOTA,
    "1309": RefusalKind.QUOTA,
    "1310": RefusalKind.QUOTA,
    "1311": RefusalKind.PERMISSION,
    "1312": RefusalKind.OVERLOAD,
    "1313": RefusalKind.PERMISSION,
    "500": RefusalKind.SERVER,
}

# Where a code is not listed, its range says enough; first match wins.
_RANGES = (
    (range(1000, 1100), RefusalKind.CREDENTIAL),
    (range(1100, 1200), RefusalKind.PERMISSION),
    (range(1200, 1220), RefusalKind.REQUEST),
    (range(1220, 1230), RefusalKind.PERMISSION),
    (range(1230, 1302), RefusalKind.REQUEST),
    # 1316 to 1321 are windows of newer plans, all with "will reset at" in the message.
    (range(1316, 1322), RefusalKind.QUOTA),
)

_RESET = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
# Times without a zone are those of the vendor's home, as users compared them with their clocks.
_BEIJING = timezone(timedelta(hours=8))


class GLMProvider(OpenAIChatProvider):
    """One GLM account. Its streams carry the usage without being asked."""

    type = "glm"
    asks_for_usage = False

    def classify(self, answer: refusal.ErrorAnswer) -> RefusalKind:
        """What an error answer means here."""
        kind = _KINDS.get(answer.code)
        if kind is not None:
            return kind
        if answer.code.isdecimal():
            number = int(answer.code)
            for codes, meaning in _RANGES:
                if number in codes:
                    return meaning
        kind = refusal.by_status(answer.status)
        return refusal.kind_of_429(answer) if kind is RefusalKind.FREQUENCY else kind

    def quota_reset(self, answer: refusal.ErrorAnswer) -> float | None:
        """Seconds until the window ends; the message of 1308 and 1310 carries the instant."""
        reset = reset_time(answer.message)
        if reset is None:
            return refusal.retry_after(answer, RefusalKind.QUOTA)
        return max(0.0, reset - answer.now)


def reset_time(message: str) -> float | None:
    """The instant in "Your limit will reset at 2026-09-04 19:01:25", as wall-clock seconds."""
    found = _RESET.search(message)
    if found is None:
        return None
    zone = found[3] or ""
    try:
        moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}")
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or _BEIJING).timestamp()
