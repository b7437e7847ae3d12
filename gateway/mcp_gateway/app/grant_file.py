"""The grant in force, kept for the next process of the same pod.

A container that starts again in its pod goes on with what the pod was granted: the operator counts
it as held until the pod itself is gone. Another pod, or the same volume after the node itself
started again, begins with nothing: what the file says may be given to others by now.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mcp_gateway.api.control import MAX_DOWN, Grant

log = logging.getLogger(__name__)

NAME: Final = "grant.json"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Kept:
    """A grant, and the accounts that it was for.

    Attributes:
        grant: the grant.
        accounts: their identities, by provider.
    """

    grant: Grant
    accounts: Mapping[str, str] = field(default_factory=dict)


class GrantFile:
    """Reads and writes the file. Both wait for the disk.

    Args:
        folder: beside the spool.
        pod: what tells this pod from any other, also from one that has its name later.
    """

    def __init__(self, folder: Path, pod: str) -> None:
        self._file = folder / NAME
        self._pod = pod
        self._written = ""

    def load(self) -> Kept | None:
        """The grant of the process before; None where there is none that may be used."""
        try:
            with self._file.open("rb") as opened:
                text = opened.read(MAX_DOWN + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            self._complain("the grant of the process before cannot be read", exc)
            return None
        try:
            kept = json.loads(text)
            if (kept["pod"], kept["boot"]) != (self._pod, _boot_id()):
                return None
            accounts = {str(name): str(account) for name, account in kept["accounts"].items()}
            return Kept(Grant.model_validate(kept["grant"]), accounts)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
            self._complain("the grant of the process before is no grant", exc)
            return None

    def save(self, kept: Kept) -> bool:
        """Write a grant in the place of the one before, whole or not at all.

        A file that cannot be written is taken away: the next process had better have nothing
        than more than it was left.

        Returns:
            Whether the next process finds no grant but this one; False where one before it stays.
        """
        text = json.dumps(
            {
                "pod": self._pod,
                "boot": _boot_id(),
                "accounts": dict(kept.accounts),
                "grant": kept.grant.model_dump(mode="json", by_alias=True, exclude_none=True),
            }
        )
        if text == self._written:
            return True
        fresh = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # Not synced: a page cache outlives a process, and a node that fails has another boot.
            fresh.write_text(text, encoding="utf-8")
            os.replace(fresh, self._file)
            self._written = text
        except OSError as exc:
            self._complain("the grant cannot be kept for the next process", exc)
            return self.clear()
        return True

    def clear(self) -> bool:
        """Leave nothing to the next process; whether that is so."""
        self._written = ""
        try:
            self._file.lstat()  # where nothing can be changed, it may be that nothing is there
            self._file.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as exc:
            self._complain("the grant before cannot be taken away", exc)
            return False
        return True

    def _complain(self, what: str, error: Exception) -> None:
        log.error(what, extra={"fields": {"file": str(self._file), "error": str(error)[:200]}})


def _boot_id() -> str:
    """What changes when the machine starts again; empty where nobody says."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
