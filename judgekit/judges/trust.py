"""Who wrote a card: the user, somebody unknown, or a repository on the Hub.

A card can name servers, environment variables and files, so opening one is an act of trust. There is one answer for a
card and all that is opened from it, a `Trust`, and it only ever gets narrower on the way down. Nothing inside a folder
can say that the folder is the user's own, since whoever made the folder could have written it: a YAML card is the
user's own when the user names it, a `judge.json` when a command of ours wrote it here or the user said so
(`judgekit trust`), which is recorded outside of the folder. docs/threat_model.md says what follows from it.
"""

from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from judgekit.errors import CheckpointError, ConfigError, shorten
from judgekit.io import file_sha256
from judgekit.judges.card import CARD, JudgeCard, write_card

_HUB_HOST = re.compile(r"(?:huggingface\.co|\bhf\.co)", re.IGNORECASE)
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_NAMES = {
    "model": _HUB_ID,
    "engine": _HUB_ID,
    "tokenizer": _HUB_ID,
    "reference": _HUB_ID,
    "member": _HUB_ID,
    "prompt": re.compile(r"[\w-]+"),
}
"""What else than a path a card may give: a Hub id, or the name of a prompt that comes with judgekit."""
_BUILTIN = "builtin:"

log = logging.getLogger(__name__)


class Origin(StrEnum):
    """Where a card comes from."""

    OWN = "own"
    """The user wrote it, named it as a YAML card, had a command of ours write it here, or said that it is trusted."""
    UNKNOWN = "unknown"
    """A folder on this disk. It may be an old judge of the user's, or a copy of somebody else's."""
    HUB = "hub"
    """Fetched from the Hub."""
    HUB_COPY = "hub_copy"
    """A repository of the Hub on this disk: its cache, `snapshot_download(local_dir=...)`, a git clone."""


@dataclass(frozen=True)
class Trust:
    """What a card may do, and every card that is opened because this one names it."""

    origin: Origin
    """Where it comes from."""
    root: Path | None = None
    """The repository that no path may leave, absolute; `None` if paths may lead anywhere on this disk."""
    depth: int = 0
    """Cards above it: of those that name each other by Hub ids, no path tells that they go in a circle."""

    @property
    def is_own(self) -> bool:
        """Whether it may name servers, environment variables and files to write."""
        return self.origin is Origin.OWN

    def below(self, named_by: Trust | None) -> Trust:
        """Return this trust one card below another, or at the top.

        Raises:
            CheckpointError: more than `MAX_DEPTH` cards name each other.
        """
        depth = 0 if named_by is None else named_by.depth + 1
        if depth > MAX_DEPTH:
            raise CheckpointError(
                f"more than {MAX_DEPTH} cards name one another, the last in {self.root or 'a folder here'}: is an "
                "ensemble a member of itself?"
            )
        return replace(self, depth=depth)

    def narrower(self, other: Trust) -> Trust:
        """Return whichever of the two allows less."""
        return max(self, other, key=lambda trust: _NARROWNESS[trust.origin])

    def holds(self, path: Path) -> bool:
        """Whether something is there, and lies inside the repository where there is one.

        Both the path as it is written and the place that it leads to must: a git clone may hold symlinks to anywhere.
        The Hub's cache is itself made of links, from `snapshots/REVISION/` to `blobs/` of the same repository.
        """
        if not os.path.exists(path):  # pathlib would raise where a name is too long for the file system
            return False
        if self.root is None:
            return True
        written, real_root = Path(os.path.abspath(path)), self.root.resolve()
        if real_root.parent.name == "snapshots":  # files of the cache lead into `blobs/`, next to `snapshots/`
            real_root = real_root.parent.parent
        return written.is_relative_to(self.root) and path.resolve().is_relative_to(real_root)

    def seen_from(self, folder: Path) -> Path:
        """Return a folder of the repository as a path below its root: links of the user's may lead to it."""
        below = self.root is None or Path(os.path.abspath(folder)).is_relative_to(self.root)
        return folder if below else folder.resolve()


OWN = Trust(Origin.OWN)
"""What the user names himself."""
MAX_DEPTH = 12
"""Cards that may lie above a card: members of members, and what YAML cards stand on."""
_NARROWNESS = {Origin.OWN: 0, Origin.UNKNOWN: 1, Origin.HUB_COPY: 2, Origin.HUB: 2}


def hub_trust(snapshot: Path) -> Trust:
    """Return the trust of what was fetched from the Hub."""
    return Trust(Origin.HUB, Path(os.path.abspath(snapshot)))


def trust_of(card: Path, *, named_by: Trust | None) -> Trust:
    """Tell whose word the file of a card is, by where it lies.

    Args:
        card: A `judge.json`, which need not exist, or a card in YAML.
        named_by: The trust of the card that names it; `None` if the user does.
    """
    if _is_recorded(card):
        return OWN
    if named_by is not None and named_by.root is not None:
        return named_by
    root = _repository(card)
    if root is not None:
        return Trust(Origin.HUB_COPY, root)
    by_hand = card.suffix in {".yaml", ".yml"}
    return OWN if by_hand and (named_by is None or named_by.is_own) else Trust(Origin.UNKNOWN)


def check_card(card: JudgeCard, *, directory: Path, trust: Trust, where: str) -> None:
    """Refuse a card that goes beyond what its origin may.

    Args:
        card: The card.
        directory: Where its relative paths begin.
        trust: Whose word it is.
        where: How the user knows it.

    Raises:
        CheckpointError: it names a server, an environment variable or a file to write and is not the user's own; or a
            card of the Hub names a path outside of its repository. Says the way out.
    """
    if trust.is_own:
        return
    powers = list(card.spec.powers())
    if powers:
        whose = "nothing here says that it is yours" if trust.root is None else "it is from the Hub"
        raise CheckpointError(
            f"the card of {where} names {', '.join(powers)}, and {whose}: read it, and if you trust it, run "
            f"`judgekit trust {where}`"
        )
    if trust.root is None:
        return
    for what, name in card.spec.places():
        local = directory / name
        by_name = (what == "member" and name.startswith(_BUILTIN)) or (what in _NAMES and _NAMES[what].fullmatch(name))
        if not (trust.holds(local) or (by_name and not os.path.lexists(local))):
            raise CheckpointError(
                f"the card of {where} names the {what} {shorten(name)}, which lies outside of its repository on the "
                f"hub or is missing there: read it, and if you trust it, run `judgekit trust {where}`"
            )


# What the user has said he trusts


def trusted_cards() -> Path:
    """Return the file of trusted cards: `judgekit/trusted_cards.jsonl` below `$XDG_CONFIG_HOME` or `~/.config`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "judgekit" / "trusted_cards.jsonl"


def record_trust(card: Path) -> None:
    """Take a card for the user's own from now on: at this place and with this text, no copy and no later version.

    Raises:
        ConfigError: the record cannot be written.
    """
    if _is_recorded(card):
        return
    path = trusted_cards()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_record(card)) + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}. Set XDG_CONFIG_HOME to a folder of yours") from error


def write_own_card(directory: Path, card: JudgeCard) -> None:
    """Write a card that the user has described himself, and record it where others would not be let.

    What he has named are its members and its engine: trust is needed where it asks a server, or opens a YAML card that
    may. Where the record cannot be written, a warning says so.
    """
    write_card(directory, card)
    members = card.spec.member_names()
    if any(card.spec.powers()) or any(member.endswith((".yaml", ".yml")) for member in members):
        try:
            record_trust(directory / CARD)
        except ConfigError as error:
            log.warning("%s, then `judgekit trust %s`", error, directory)


def update_card(directory: Path, card: JudgeCard) -> None:
    """Write a card that has changed; it is trusted where the one before was."""
    was_own = _is_recorded(directory / CARD)
    (write_own_card if was_own else write_card)(directory, card)


def _record(card: Path) -> dict[str, str]:
    # The folder is resolved and the file is not: a link to a trusted card from another folder reads other members.
    return {"card": str(card.parent.resolve() / card.name), "sha256": file_sha256(card)}


def _is_recorded(card: Path) -> bool:
    path = trusted_cards()
    if not (path.is_file() and card.is_file()):
        return False
    wanted = _record(card)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return any(json.loads(line) == wanted for line in lines if line.strip())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read the list of trusted cards {path}: {error}. Remove it, and trust again"
        ) from error


# Repositories of the Hub on this disk


def _repository(card: Path) -> Path | None:
    """Return the root of the Hub repository that a file lies in, by what the ways to fetch one leave behind."""
    folder = Path(os.path.abspath(card.parent))
    if any(part.startswith(("models--", "datasets--", "spaces--")) for part in card.resolve().parts[:-2]):
        # The cache, or links into it: REPOSITORY/snapshots/REVISION/..., whose files are links to REPOSITORY/blobs.
        real = folder.resolve()
        return next((place for place in (real, *real.parents) if place.parent.name == "snapshots"), folder)
    for place in dict.fromkeys((folder, *folder.parents, *folder.resolve().parents)):
        metadata = place / ".cache" / "huggingface"
        # The home directory has a folder of this name, too: the cache itself, without `download`.
        if (metadata / "download").is_dir() or (place == folder != Path.home() and metadata.is_dir()):
            return place
    for place in (folder, *folder.parents, *folder.resolve().parents):
        if (place / ".git").exists():
            return place if _HUB_HOST.search(_git_config(place / ".git")) else None
    return None


def _git_config(git: Path) -> str:
    """Return the text of a clone's configuration; a worktree or submodule has a file that says where it lies."""
    try:
        if git.is_file():
            named = git.read_text(encoding="utf-8", errors="replace").removeprefix("gitdir:").strip()
            git = git.parent / named
            common = git / "commondir"
            git = git / common.read_text(encoding="utf-8").strip() if common.is_file() else git
        return (git / "config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
