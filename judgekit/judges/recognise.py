"""Finds the card of a judge: its own `judge.json`, a YAML card, or the family of a public checkpoint.

Families are cards without a model, one YAML file each in `families/`, with a `recognise` block on top. For a checkpoint
of a new family, write such a file by hand and give it to `load_judge`.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from judgekit.engines.checkpoint import (
    fetch_checkpoint,
    fetch_from_hub,
    locate_model,
    missing_weights,
    tensor_names,
)
from judgekit.errors import CheckpointError, ConfigError, DataError, one_line, shorten
from judgekit.io import read_json
from judgekit.judges.builtin import BUILTIN_NAMES
from judgekit.judges.card import CARD, CARDLESS, JudgeCard, parse_card, read_card, refuse_run_folder, upgrade
from judgekit.judges.trust import Trust, check_card, hub_trust, record_trust, trust_of
from judgekit.reading.safe_yaml import load_yaml
from judgekit.reading.texts import read_text

_FAMILIES = Path(__file__).parent / "families"
MAX_MEMBERS = 100
"""Judges that one ensemble may ask, members of members too."""


class Structure(BaseModel):
    """What a checkpoint holds; all that is named must be so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architectures: tuple[str, ...] = ()
    """Regular expressions; the configuration names an architecture that is one of these, empty for any."""
    model_type: str | None = None
    """`model_type` of the configuration; `null` for any."""
    tensors: tuple[str, ...] = ()
    """Tensors that the safetensors files must hold."""
    tokens: tuple[str, ...] = ()
    """Tokens that the vocabulary must hold."""
    n_labels: int | None = None
    """Labels of the head; `null` for any. A configuration that states none has two, the default of transformers."""


class Recognise(BaseModel):
    """How a family is recognised: by a name, or by what the checkpoint holds. Either is enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = ()
    """Regular expressions, looked for in the Hub id or the directory's name, in any case."""
    structure: Structure | None = None
    """What tells the family by itself; `null` if only the name tells it."""


class Family(NamedTuple):
    """A published input convention."""

    name: str
    """Its name, which a card in YAML may give as `family`."""
    recognise: Recognise
    """How its checkpoints are told from others."""
    card: Mapping[str, Any]
    """Fields of the card, all but the model."""


class FoundCard(NamedTuple):
    """A card, the directory that its paths are relative to, and whose word it is."""

    directory: Path
    """Where relative paths of the card begin."""
    card: JudgeCard
    """The card."""
    trust: Trust
    """What it may do; all that is opened because the card names it gets this, or less."""


@functools.cache
def families() -> dict[str, Family]:
    """Return the built-in families by name.

    Raises:
        CheckpointError: a family's file is not valid, which no release should have.
    """
    found = {}
    for path in sorted(_FAMILIES.glob("*.yaml")):
        values = read_yaml(path)
        rule = Recognise.model_validate(values.pop("recognise", {}))
        said = {"ok_labels_by": "family"} if "ok_labels" in values else {}
        found[path.stem] = Family(path.stem, rule, values | said | {"family": path.stem})
    return found


def find_card(name: str | Path, *, revision: str | None = None, named_by: Trust | None = None) -> FoundCard:
    """Find the card of a judge directory, a card in YAML, or a public checkpoint.

    Args:
        name: Directory, YAML file or Hub id.
        revision: Revision of a Hub id to fetch; `None` takes the latest.
        named_by: Trust of the card that names it; `None` if the user does.

    Raises:
        CheckpointError: nothing is there, the card is not valid, or no family fits; says what was tried. Or the card
            names what its origin may not, see `check_card`.
    """
    place = _locate(str(name), revision=revision, named_by=named_by)
    if place.path.suffix in {".yaml", ".yml"}:
        return _from_yaml(place.path, place.trust)
    directory, trust = place
    if (directory / CARD).is_file():
        card = read_card(directory)
        check_card(card, directory=directory, trust=trust, where=str(name))
        return FoundCard(directory, card, trust)
    refuse_run_folder(directory)
    family, _ = _recognise(directory, str(name))
    card = make_card(family.card, where=str(name), model=".", judge_id=_short_name(str(name)))
    return FoundCard(directory, card, trust)


def locate_member(directory: Path, member: str) -> str:
    """Return the name to open what a card names: a path relative to the card where there is one, else the name."""
    path = directory / member
    return str(path) if os.path.exists(path) else member


def check_weights(found: FoundCard) -> Path | None:
    """Find the weights of a judge that has some here, and read their headers; `None` of a judge that has none.

    Raises:
        CheckpointError: there are none where its card says, or a file is damaged.
    """
    weights = found.card.spec.checkpoint()
    if weights is None:
        return None
    location = locate_model(found.directory, weights[0], revision=weights[1], hub_only=found.trust.root is not None)
    complaint = missing_weights(location)
    if complaint:
        raise CheckpointError(f"{location} cannot be opened: {complaint}")
    tensor_names(location)
    return location


def refuse_cycle(ensemble: FoundCard, above: frozenset[Path] = frozenset(), *, n_before: int = 0) -> int:
    """Refuse an ensemble that is a member of itself, directly or through another one, or that has too many members.

    A member that is an ensemble counts with its own members, as often as it is named: a dozen small cards that name
    each other twice stand for thousands of judges.

    Args:
        ensemble: The ensemble's card.
        above: Ensembles that it is a member of.
        n_before: Members that were counted already.

    Returns:
        Members so far.

    Raises:
        CheckpointError: it is; or a member's card is not valid, or names what it may not.
    """
    n = n_before
    for member in ensemble.card.spec.member_names():
        path = ensemble.directory / member
        n += 1
        if n > MAX_MEMBERS:
            raise CheckpointError(
                f"the ensemble {ensemble.directory} has more than {MAX_MEMBERS} members, with members of members "
                "counted each time they are named: take some out"
            )
        is_here = os.path.exists(path)
        # What somebody else's ensemble names on the Hub may be an ensemble, too; of the user's own, they are as many
        # as he has written down, and each is looked at when it is opened.
        if not is_here and (ensemble.trust.is_own or member.startswith(CARDLESS)):
            continue
        if is_here and path.resolve() in above:
            raise CheckpointError(f"the ensemble {path.resolve()} is a member of itself: take it out of its members")
        found = find_card(locate_member(ensemble.directory, member), named_by=ensemble.trust)
        if found.card.spec.member_names():
            n = refuse_cycle(found, above | {path.resolve()}, n_before=n)
    return n


class _Place(NamedTuple):
    """A card's file or directory on this disk, and whose word it is."""

    path: Path
    trust: Trust


def _locate(name: str, *, revision: str | None, named_by: Trust | None) -> _Place:
    """Find what a name stands for, fetched from the Hub where it is a Hub id. Opens no card.

    Raises:
        CheckpointError: nothing is there.
    """
    path = Path(name)
    # What a card of the Hub names is in its repository or on the Hub, whatever else is called so on this disk.
    confined = named_by is not None and named_by.root is not None
    is_here = named_by.holds(path) if named_by is not None and confined else os.path.exists(path)
    if path.suffix in {".yaml", ".yml"} and (is_here or not confined):
        trust = trust_of(path, named_by=named_by).below(named_by)
        return _Place(trust.seen_from(path.parent) / path.name, trust)
    if is_here and path.is_file():
        raise CheckpointError(f"{path} is neither a directory nor a YAML card: give the judge directory itself")
    if not is_here and name in BUILTIN_NAMES:
        raise CheckpointError(f"{name!r} does not exist; the judge that needs no files is called builtin:{name}")
    directory = fetch_from_hub(name, revision=revision) if confined and not is_here else None
    directory = directory or fetch_checkpoint(name, revision=revision)
    if is_here:
        trust = trust_of(directory / CARD, named_by=named_by).below(named_by)
        return _Place(trust.seen_from(directory), trust)
    trust = hub_trust(directory)
    # A snapshot that the user has trusted is a folder like any other: its record names the revision, too.
    own = trust_of(directory / CARD, named_by=trust)
    return _Place(directory, (own if own.is_own else trust).below(named_by))


def trust_judge(name: str) -> list[str]:
    """Take a judge's card for the user's own from now on, and every card that is opened because of it.

    Holds for these files as they are and where they are: a copy or a changed card is asked about again.

    Returns:
        One line a card: where it lies, and what it names that others may not.

    Raises:
        CheckpointError: there is no such card; see `find_card`.
        ConfigError: the record cannot be written.
    """
    lines: dict[Path, str] = {}
    _trust_all(name, None, lines)
    if not lines and not name.startswith(CARDLESS):
        find_card(name)  # says why there is no card, where there should be one
    return list(lines.values())


def _trust_all(name: str, named_by: Trust | None, lines: dict[Path, str]) -> None:
    if name.startswith(CARDLESS):
        return
    path = _locate(name, revision=None, named_by=named_by).path
    file = path if path.suffix in {".yaml", ".yml"} else path / CARD
    if not file.is_file() or file.absolute() in lines:
        return
    lines[file.absolute()] = ""
    record_trust(file)
    values = read_yaml(file) if file.name != CARD else {}
    if not {"family", "kind", "spec"} & values.keys() and isinstance(values.get("model"), str):
        _trust_all(locate_member(file.parent, values["model"]), trust_of(file, named_by=named_by), lines)
    found = find_card(name, named_by=named_by)
    powers = ", ".join(found.card.spec.powers())
    lines[file.absolute()] = f"{file}: {powers or 'names no server'}"
    for member in found.card.spec.member_names():
        _trust_all(locate_member(found.directory, member), found.trust, lines)


def make_card(values: Mapping[str, Any], *, where: str, **given: Any) -> JudgeCard:
    """Check the fields of a card; `given` fills what the values leave open.

    Raises:
        CheckpointError: a field is missing, unknown or refused; names it.
    """
    return parse_card(given | dict(values), where=where)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values.

    Raises:
        CheckpointError: it is missing, no YAML, or holds something else.
    """
    try:
        values = load_yaml(read_text(path))
    except DataError as error:
        raise CheckpointError(str(error).replace("cannot read ", "cannot read the card ", 1)) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid YAML: {one_line(error)}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} must hold keys and values, for example `family: math-shepherd`")
    return values


def _from_yaml(path: Path, trust: Trust) -> FoundCard:
    """A card by hand: on top of the family it names, else of what its model is, else complete by itself."""
    values = read_yaml(path)
    for name in ("family", "model", "revision"):
        if not isinstance(values.get(name), str | None):
            raise CheckpointError(f"{path}: {name} must be a text, not {shorten(values[name])}")
    family, model = values.get("family"), values.get("model")
    if family is not None and family not in families():
        raise ConfigError(f"{path} names the unknown family {shorten(family)}: use one of {', '.join(families())}")
    base_trust = trust
    if family is None and not {"kind", "spec"} & values.keys() and model is not None:
        if Path(model).suffix in {".yaml", ".yml"}:
            raise CheckpointError(f"{path} names the card {shorten(model)} as its model: name the checkpoint itself")
        found = find_card(locate_member(path.parent, model), revision=values.get("revision"), named_by=trust)
        base, directory, base_trust = found.card.model_dump(mode="json"), found.directory, found.trust
        values.pop("model")
    else:
        base, directory = upgrade(families()[family].card) if family else {"spec": {}}, path.parent
    values = upgrade(values, kind=base["spec"].get("kind"))
    if "ok_labels" in values["spec"]:
        values["spec"]["ok_labels_by"] = "card"
    card = parse_card({"judge_id": path.stem} | _merged(base, values), where=str(path))
    # The base was checked when it was found: what is left to check is what this file adds, by whose word this file is.
    check_card(card, directory=directory, trust=trust, where=str(path))
    return FoundCard(directory, card, trust.narrower(base_trust))


def _merged(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Lay values over others; mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in update.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _short_name(name: str) -> str:
    """Name in results: a Hub id as it is, a directory by its last part."""
    return Path(name).resolve().name if os.path.exists(name) else name


def recognised_by(name: str) -> str:
    """Tell in words what `find_card` knows a judge by.

    Raises:
        CheckpointError: see `find_card`.
    """
    path = Path(name)
    if name.startswith(CARDLESS):
        return "its name"
    if path.suffix in {".yaml", ".yml"}:
        base = find_card(path).card.family
        return "a card by hand" + (f" on top of the family {base}" if base else "")
    directory = fetch_checkpoint(name)
    if (directory / CARD).is_file():
        return f"its {CARD}"
    family, how = _recognise(directory, name)
    return f"{how} (family {family.name})"


def _recognise(directory: Path, name: str) -> tuple[Family, str]:
    """Return the family of a checkpoint without `judge.json`, and in words what told it. A name counts more.

    Raises:
        CheckpointError: none fits, or several do; says how to write a card, or where judges lie.
    """
    checkpoint = _Checkpoint(directory)
    shown = name if not os.path.exists(name) else _short_name(name)
    how = "its name"
    fitting = [
        family
        for family in families().values()
        if any(re.search(pattern, shown, re.IGNORECASE) for pattern in family.recognise.names)
    ]
    if not fitting:  # tensors and vocabulary are read only where they are needed
        how = "its configuration and tensors"
        fitting = [family for family in families().values() if checkpoint.fits(family)]
    if len(fitting) > 1:
        raise CheckpointError(
            f"{name} could be {' or '.join(family.name for family in fitting)}: name one in a YAML file and open that "
            f"file, for example {{family: {fitting[0].name}, model: {name}}}"
        )
    if fitting:
        return fitting[0], how
    said = f"{name} has no {CARD}, so it is not a judge directory, and no public family fits"
    below = [path.parent for pattern in (f"*/{CARD}", f"*/*/{CARD}") for path in sorted(directory.glob(pattern))]
    if below:
        raise CheckpointError(f"{said}. There are judges below it: {', '.join(map(str, below[:5]))}")
    if not (checkpoint.architectures or "model_type" in checkpoint.config):
        raise CheckpointError(f"{said}. It has no model either: no config.json names one")
    raise CheckpointError(
        f"{said} its name or its {', '.join(checkpoint.architectures) or 'tensors'}. A language model that is not a "
        f"judge yet becomes one with `judgekit train kind=probe`. If it is of a known family, open a YAML file with "
        f"{{family: NAME, model: {name}}}, NAME being one of {', '.join(families())}. If it has another convention, "
        f"describe that in the file: {{kind: label_token, model: {name}, "
        'label_tokens: {ok: "+", error: "-"}, input: {layout: template, begin: "{problem}\\n", step: "{step}", '
        'mark: " <tag>", between: "\\n"}}'
    )


class _Checkpoint:
    """The content of a checkpoint directory, read when needed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        path = self.directory / "config.json"
        try:
            values = read_json(path) if path.is_file() else {}
        except DataError as error:
            raise CheckpointError(str(error)) from error
        return values if isinstance(values, dict) else {}

    @property
    def architectures(self) -> tuple[str, ...]:
        return tuple(self.config.get("architectures") or ())

    @functools.cached_property
    def tensors(self) -> frozenset[str]:
        return frozenset(name for names in tensor_names(self.directory).values() for name in names)

    @functools.cached_property
    def tokens(self) -> frozenset[str]:
        """The vocabulary, added tokens included, of a fast tokenizer."""
        path = self.directory / "tokenizer.json"
        if not path.is_file():
            return frozenset()
        try:
            values = read_json(path)
        except DataError as error:
            raise CheckpointError(f"the tokenizer is damaged: {error}. Fetch it again") from error
        vocabulary = values.get("model", {}).get("vocab", {})
        words = vocabulary if isinstance(vocabulary, dict) else [item[0] for item in vocabulary]
        return frozenset(words) | {token["content"] for token in values.get("added_tokens", ())}

    @property
    def n_labels(self) -> int:
        labels = self.config.get("id2label")
        return int(self.config.get("num_labels") or (len(labels) if labels else 2))

    def fits(self, family: Family) -> bool:
        """Tell whether it holds all that the family's structure names; a family that only names tell fits nothing."""
        structure = family.recognise.structure
        if structure is None:
            return False
        patterns = structure.architectures
        return (
            (not patterns or any(re.fullmatch(pattern, name) for pattern in patterns for name in self.architectures))
            and structure.model_type in (None, self.config.get("model_type"))
            and (structure.n_labels is None or structure.n_labels == self.n_labels)
            and (not structure.tensors or self.tensors >= set(structure.tensors))
            and (not structure.tokens or self.tokens >= set(structure.tokens))
        )
