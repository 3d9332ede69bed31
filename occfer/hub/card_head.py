"""The head of a card: the YAML that the Hub reads, and the licence in it, which the user states."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from occfer.errors import HubError

_ID = re.compile(r"[a-z0-9][a-z0-9.+-]{0,79}")


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence under which the user shares the files.

    Attributes:
        id: as the Hub names it, such as `apache-2.0`; `other` for one that is not in its list.
        name, link: of an `other` licence: its name in such letters too, and where its text lies.
    """

    id: str
    name: str = ""
    link: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise HubError(
                f"--license '{self.id[:80]}': the Hub writes licences in small letters, such as apache-2.0 or other: "
                "https://huggingface.co/docs/hub/repositories-licenses"
            )
        if (self.id == "other") != bool(self.name and self.link) or (self.id != "other" and (self.name or self.link)):
            raise HubError(
                "--license other needs --license-name, such as my-terms-1.0, and --license-link, where its text lies; "
                "no other licence takes them"
            )
        if self.name and not _ID.fullmatch(self.name):
            raise HubError(f"--license-name '{self.name[:80]}': write it in small letters, such as my-terms-1.0")
        if self.link and not self.link.startswith("https://"):
            raise HubError(f"--license-link {self.link[:200]}: give an address that begins with https://")

    def __str__(self) -> str:
        return f"{self.name} ({self.link})" if self.name else self.id

    def head(self) -> dict[str, str]:
        """The keys of the head that state it."""
        more = {"license_name": self.name, "license_link": self.link} if self.name else {}
        return {"license": self.id, **more}


def with_head(head: Mapping[str, Any], text: str) -> bytes:
    """A card: its head between lines of dashes, each value as JSON, which is YAML; then the text."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in head.items()]
    return ("\n".join(["---", *lines, "---", "", text.strip()]) + "\n").encode()
