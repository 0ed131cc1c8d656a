"""Uploads a judge directory to the Hub: `judgekit push`. `load_judge("OWNER/NAME")` opens exactly what is uploaded."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgekit.engines.checkpoint import fetched_files
from judgekit.errors import ConfigError, DataError
from judgekit.hub import upload
from judgekit.io import file_sha256, read_json
from judgekit.judges.card import CARD, JudgeCard, read_card
from judgekit.judges.recognise import FoundCard, check_weights
from judgekit.judges.trust import check_card, hub_trust
from judgekit.run import MANIFEST
from judgekit_eval.judges.reuse import JUDGES_DIR
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.publish.model_card import Measured, hub_results, render_model_card
from judgekit_eval.results import read_results
from judgekit_eval.runner import RESULTS


def push_judge(
    directory: Path,
    repo_id: str,
    *,
    licence: str | None,
    runs: Sequence[Path] = (),
    base_model: str | None = None,
    private: bool = True,
) -> str:
    """Upload a judge with its card and figures in one commit, and return the commit's address.

    Weights are safetensors alone. Absolute paths of this machine are cut to their last part in `judge.json`.

    Args:
        directory: The judge directory.
        repo_id: `OWNER/NAME` on the Hub.
        licence: Licence of the weights as the Hub spells it, for example `apache-2.0`.
        runs: Folders of `judgekit eval` with this judge's results.
        base_model: Hub id of what it was trained from; `None` takes what the card knows to be one.
        private: Whether a repository that is made now is private.

    Raises:
        ConfigError: no licence, no token, or the Hub cannot be reached.
        CheckpointError: it would not open from the Hub: weights are missing or pickled, or its card names what lies
            outside of the directory, a server or an environment variable.
        DataError: a run did not measure this judge as it is now.
    """
    if not licence:
        raise ConfigError("a judge needs a licence before others may use it: add --licence apache-2.0, mit, other, ...")
    card = read_card(directory)
    files: dict[str, Path | str] = {
        name: directory / name for name in fetched_files(directory) if not name.startswith("judgements/")
    }
    trust = hub_trust(directory)
    check_card(card, directory=directory, trust=trust, where=str(directory))
    check_weights(FoundCard(directory, card, trust))
    for what, name in card.spec.places():
        place = os.path.relpath(directory / name, directory)
        if (directory / name).is_file() and place not in files:
            raise ConfigError(
                f"the {what} {name} is not a file that is fetched from the Hub, so users of the judge would lack it"
            )
    measured = [item for run in runs for item in results_of(card, directory, run)]
    base_model = base_model or (card.base_model if card.base_revision is not None else None)
    spec = card.spec.with_places(
        lambda _, name: os.path.relpath(name, directory.absolute()) if os.path.isabs(name) else name
    )
    about = _without_folders({"base_model": card.base_model, "training": card.training})
    card = card.model_copy(update={"spec": spec, **about})
    readme = render_model_card(card, measured, repo_id=repo_id, licence=licence, base_model=base_model)
    text = json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    files |= {CARD: text, "README.md": readme, **hub_results(measured)}
    return upload(files, repo_id, kind="model", private=private, what=card.judge_id)


def results_of(card: JudgeCard, directory: Path, run: Path) -> list[Measured]:
    """Return what a run of `judgekit eval` measured of this judge: the weights and the calibrator must be the same.

    Raises:
        DataError: it measured no such judge, or one that was calibrated otherwise.
    """
    manifest = read_json(run / MANIFEST)
    weights = {path.name: file_sha256(path) for path in directory.glob("*.safetensors")}
    found, others = [], []
    for path in sorted(run.glob(f"{JUDGES_DIR}/*/*/{RESULTS}")):
        results = read_results(path, EvalResults)
        own = f"{JUDGES_DIR}/{path.parts[-3]}/judge/"
        hashes = {name.removeprefix(own): sha for name, sha in manifest["inputs"].items() if name.startswith(own)}
        is_same = results.judge.judge_id == card.judge_id and results.judge.kind == card.kind
        if not is_same or {name: hashes.get(name) for name in weights} != weights:
            others.append(results.judge.judge_id)
            continue
        calibrator = card.calibrator.model_dump(mode="json") if card.calibrator else None
        if results.judge.calibrator != calibrator:
            raise DataError(f"{path} was measured with another calibrator of {card.judge_id}: evaluate it again")
        found.append(Measured(results, str(manifest["finished"])))
    if not found:
        raise DataError(
            f"{run} has no results of {card.judge_id} with these weights (of others: "
            f"{', '.join(sorted({*others})) or 'none'}): give a run of `judgekit eval` with this judge"
        )
    return found


def _without_folders(value: Any) -> Any:
    """Return values as JSON has them, absolute paths cut to their last part."""
    match value:
        case dict():
            return {key: _without_folders(item) for key, item in value.items()}
        case list():
            return [_without_folders(item) for item in value]
        case str() if os.path.isabs(value) and len(value) > 1:
            return Path(value).name
    return value
