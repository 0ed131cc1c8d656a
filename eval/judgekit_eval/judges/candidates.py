"""The judges of an evaluation, as described by their cards before any of them is opened.

What results say about a judge comes from here, so that a resumed run says the same about a judge that it does not open
again. Members of an ensemble are judges of the run themselves: they judge first, and the ensemble pools their verdicts.
A cascade calls its members itself, unless all of them are judges of the run anyway.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from judgekit.errors import CheckpointError, ConfigError, DataError, JudgeError
from judgekit.io import checkpoint_files
from judgekit.judges import load_judge
from judgekit.judges.base import Judge, JudgeInfo, LazyJudge, WrappedJudge
from judgekit.judges.card import CARDLESS, JudgeCard
from judgekit.judges.exposure import SAYS_NOTHING, Exposure, exposure_without_card, read_exposure
from judgekit.judges.problem_lists import CALIBRATION_PROBLEMS, TRAIN_PROBLEMS
from judgekit.judges.recognise import FoundCard, check_weights, find_card, locate_member, refuse_cycle
from judgekit.judges.trust import Trust
from judgekit.text.identity import content_id
from judgekit.types import Judgement, Precision, Solution
from judgekit_eval.judges.schema import About

OpenMember = Callable[[str], Judge]


@dataclass(frozen=True)
class Candidate:
    """A judge of a run."""

    name: str
    """As `load_judge` opens it; for people, see `key`."""
    info: JudgeInfo
    """What it says of itself, as the opened judge will say it."""
    load: Callable[[OpenMember | None], Judge]
    """Opens it; an ensemble takes its members from the function given."""
    card: JudgeCard | None = None
    """Its card; `None` of builtin judges and services."""
    prompt_sha256: str | None = None
    """Hash of a critic's prompt file."""
    exposure: Exposure = SAYS_NOTHING
    """The problems it was made with."""
    members: tuple[str, ...] = ()
    """Keys of the judges of the run whose judgements it is made of; those of an ensemble's members."""
    files: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """Files of this machine that make it what it is, by what they are."""
    listed: bool = True
    """Whether results were asked for; else it is here as a member of an ensemble."""
    label: str | None = None
    """Name in results where another judge of the run shares its id or its folder; `None` = its id. See `tell_apart`."""

    @property
    def key(self) -> str:
        """Tells judges apart: a path is taken as the file or folder it leads to."""
        return candidate_key(self.name)

    @property
    def title(self) -> str:
        """Name in results."""
        return self.label or self.info.judge_id

    @property
    def slug(self) -> str:
        """Name of its folder; with a hash where the plain name would be another's, too."""
        plain = re.sub(r"[^\w.-]+", "-", self.title, flags=re.ASCII).strip("-.")[:100] or "judge"
        return plain if self.label is None else f"{plain[:90]}-{content_id(name=self.title)[:8]}"

    @property
    def is_object(self) -> bool:
        """Whether a program gave it, open: its name opens nothing."""
        return self.card is None and not self.name.startswith(CARDLESS)

    @property
    def votes(self) -> int | None:
        """Number of answers sampled from a critic; `None` of other judges."""
        return self.card.spec.n_votes() if self.card else None

    def about(self) -> About:
        """Return the section `judge` of its results."""
        card = self.card
        return About(
            judge_id=self.title,
            kind=self.info.kind,
            family=card.family if card else None,
            dtype=self.info.dtype,
            deterministic=self.info.deterministic,
            calibrator=card.calibrator.model_dump(mode="json") if card and card.calibrator else None,
            votes=self.votes,
            prompt_sha256=self.prompt_sha256,
            **({} if self.info.reading is None else {"reading": self.info.reading}),
        )


def candidate_key(name: str) -> str:
    """Return what tells judges apart: a path is taken as the file or folder it leads to."""
    return str(Path(name).resolve()) if Path(name).exists() else name


def candidate_of(judge: Judge, *, exposure: Exposure = SAYS_NOTHING) -> Candidate:
    """Return the candidate of a judge that is open already."""
    return Candidate(name=judge.info.judge_id, info=judge.info, load=lambda _: judge, exposure=exposure)


def find_candidates(
    names: Sequence[str], *, dtype: Precision, on_failure: Callable[[str, Exception], None] | None = None
) -> list[Candidate]:
    """Read the cards of judges and of the members of ensembles; nothing but headers is read of weights.

    Args:
        names: As `load_judge` opens them.
        dtype: Precision in which those with weights will run.
        on_failure: Told of each judge that cannot be opened, which is then left out; `None` = that is raised.

    Returns:
        Members stand before their ensembles, everything else in the order given.

    Raises:
        ConfigError: a judge is given twice, or there is no such builtin judge.
        CheckpointError: a judge cannot be opened: no card, no weights, damaged weights, a changed prompt.
        JudgeError: a judge service does not answer.
    """
    twice = [name for name, count in Counter(map(candidate_key, names)).items() if count > 1]
    if twice:
        raise ConfigError(f"the judge {twice[0]} is given twice: leave one out")
    found: dict[str, Candidate] = {}
    for name in names:
        with_members = dict(found)  # of an ensemble that cannot be opened, its members are not asked either
        try:
            _find(name, with_members, dtype)
        except (CheckpointError, DataError, JudgeError, OSError) as error:
            if on_failure is None:
                raise
            on_failure(name, error)
        else:
            found = with_members
    wanted = set(map(candidate_key, names))
    asked: set[str] = set()  # judges that are asked about every solution, and what is made of these
    waiting = [key for key in wanted if key in found]
    while waiting:
        asked.add(key := waiting.pop())
        card = found[key].card
        if card is None or card.spec.asks_all:
            waiting += [member for member in found[key].members if member not in asked]
    return tell_apart(
        [
            replace(item, listed=key in wanted, members=item.members if asked.issuperset(item.members) else ())
            for key, item in found.items()
            if key in asked
        ]
    )


def tell_apart(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Give labels to judges that share an id or a folder, in the order given.

    Judges of one id are labelled with the id and as much of the end of their paths as Selects this kind. Folders are
    compared as file systems do that know no capital letters.

    Example:
        >>> from judgekit.judges import load_judge
        >>> one = candidate_of(load_judge("builtin:random"))
        >>> found = tell_apart([replace(one, name="runs/a/judge"), replace(one, name="runs/b/judge")])
        >>> [candidate.title for candidate in found]
        ['builtin:random (a/judge)', 'builtin:random (b/judge)']
    """
    by_id = Counter(candidate.info.judge_id for candidate in candidates)
    by_slug = Counter(candidate.slug.lower() for candidate in candidates)
    labelled = []
    for candidate in candidates:
        if by_id[candidate.info.judge_id] > 1:
            others = [
                other.key
                for other in candidates
                if other.info.judge_id == candidate.info.judge_id and other is not candidate
            ]
            # As many of the last parts of its path as none of the others ends in.
            parts = candidate.key.split("/")
            ends = ["/".join(parts[-n:]) for n in range(1, len(parts) + 1)]
            own = [end for end in ends if not any(f"/{other}".endswith(f"/{end}") for other in others)]
            candidate = replace(candidate, label=f"{candidate.info.judge_id} ({(own or [candidate.key])[0]})")
        elif by_slug[candidate.slug.lower()] > 1:
            candidate = replace(candidate, label=candidate.info.judge_id)
        labelled.append(candidate)
    return labelled


def _find(name: str, found: dict[str, Candidate], dtype: Precision, named_by: Trust | None = None) -> None:
    if named_by is not None and named_by.root is not None and Path(name).exists() and not named_by.holds(Path(name)):
        # Judges are distinguished by name, and this one name is two judges: a folder for the user, the Hub for the
        # card.
        raise CheckpointError(
            f"a card of the Hub has the member {name}, but something else is called {name} here: run this in "
            "another folder"
        )
    if candidate_key(name) in found:
        return
    if name.startswith(CARDLESS):
        opened = candidate_of(load_judge(name, named_by=named_by), exposure=exposure_without_card(name))
        found[candidate_key(name)] = replace(opened, name=name, load=lambda _: load_judge(name, named_by=named_by))
        return
    card = find_card(name, named_by=named_by)
    refuse_cycle(card)
    members = [locate_member(card.directory, member) for member in card.card.spec.member_names()]
    for member in members:
        _find(member, found, dtype, card.trust)
    among = [found[candidate_key(member)] for member in members]
    found[candidate_key(name)] = _of_card(name, card, among, dtype, named_by)


def _of_card(
    name: str, found: FoundCard, members: Sequence[Candidate], dtype: Precision, named_by: Trust | None
) -> Candidate:
    directory, card, _ = found
    model = check_weights(found)
    is_local = Path(name).exists()
    files = _files(Path(name), model if is_local and model and model != directory.resolve() else None)
    if not card.spec.asks_all:  # its members may be no judges of the run, and it changes with them
        files |= {
            f"member{i}/{part}": list(paths) for i, item in enumerate(members) for part, paths in item.files.items()
        }
    return Candidate(
        name=name,
        info=card.declare(dtype=dtype, members=[member.info for member in members], calibrated=True),
        load=lambda open_member: load_judge(name, dtype=dtype, open_member=open_member, named_by=named_by),
        card=card,
        prompt_sha256=card.spec.prompt_sha256_of(directory),
        exposure=read_exposure(directory, card, [member.exposure for member in members]),
        members=tuple(member.key for member in members),
        files=files,
    )


def _files(path: Path, model: Path | None) -> dict[str, list[Path]]:
    """Return the files by which a resumed run knows a local judge again; of a Hub id there are none here."""
    lists = [path / name for name in (TRAIN_PROBLEMS, CALIBRATION_PROBLEMS) if (path / name).is_file()]
    own = [path] if path.is_file() else [*checkpoint_files(path), *lists]
    return {"judge": own} | ({"model": checkpoint_files(model)} if model else {})


class RecordedJudge(WrappedJudge):
    """Answers what a candidate has said already.

    Args:
        candidate: The judge.
        judgements: What it said of every solution that will be asked about.
    """

    def __init__(self, candidate: Candidate, judgements: Sequence[Judgement]) -> None:
        super().__init__(None, candidate.info)
        self._judgements = {judgement.solution_id: judgement for judgement in judgements}

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Return the stored judgements."""
        return [self._judgements[solution.id] for solution in solutions]


def open_pooled(candidate: Candidate, recorded: Mapping[str, RecordedJudge]) -> Judge:
    """Open an ensemble on what its members said.

    Args:
        candidate: The ensemble.
        recorded: Its members' judgements, by key.
    """
    return candidate.load(lambda name: recorded[candidate_key(name)])


def lazily(candidate: Candidate) -> Callable[[], Judge]:
    """Return a function that gives the candidate's lazy judge."""
    return functools.partial(LazyJudge, candidate.info, functools.partial(candidate.load, None))


class Failure(NamedTuple):
    """A judge that failed, while it was opened or while it judged."""

    judge: str
    """The judge, as the run names it."""
    benchmark: str | None
    """What it was judging; `None` if it could not be opened, or where there is but one thing to judge."""
    reason: str
    """Why, in one line."""

    @property
    def line(self) -> str:
        """All of it in one line.

        Example:
            >>> Failure("prm", "processbench", "server gone").line
            'prm failed on processbench: server gone'
        """
        return f"{self.judge} failed{f' on {self.benchmark}' if self.benchmark else ''}: {self.reason}"
