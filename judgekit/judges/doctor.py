"""`judgekit doctor`: opens a judge as usual, shows how it reads a solution, and checks that its scores are unchanged.

Every check is about something that goes wrong without an error: score positions, special tokens, padding, precision,
hostile text, and golden scores. A check that does not apply to a judge says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from judgekit.calibration.card import describe_calibrator
from judgekit.engines.checkpoint import locate_model, snapshot_commit
from judgekit.errors import CheckpointError, ConfigError
from judgekit.io import read_json, write_text
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.card import CARD, CARDLESS, Golden, JudgeCard, read_card, write_card
from judgekit.judges.golden import EXAMPLES, TOLERANCE, golden_difference, largest_difference, measure_golden
from judgekit.judges.problem_lists import CALIBRATION_PROBLEMS, TRAIN_PROBLEMS
from judgekit.judges.recognise import find_card, recognised_by
from judgekit.judges.steps.label_names import read_label_names, settle_ok_labels
from judgekit.judges.steps.layout import TemplateInput
from judgekit.judges.steps.specs import DEFAULT_OK_LABELS, LabelTokenSpec, StepClassifierSpec
from judgekit.judges.trust import update_card, write_own_card
from judgekit.text.prompts import asks_for_the_day, render_text
from judgekit.types import Judgement, NoVerdictReason, Solution

if TYPE_CHECKING:
    from judgekit.judges.steps.by_step import StepLogitJudge

BATCH_TOLERANCE = 1e-4
"""Largest difference of a probability between judging alone and in a batch, in float32."""
PRECISION_TOLERANCE = 0.1
"""Largest change of a probability by bfloat16, whose 8 bits of mantissa move logits by some hundredths."""
AWKWARD = (
    Solution(problem="?", steps=("",)),
    Solution(problem="", steps=("x", "", " ", "\n\n", "y")),
    Solution(problem="Inner breaks", steps=("a\n\nb\n", "\n\n\n\n\nc", "Step 3: d\nStep 4: e")),
    Solution(problem="Чему равно √4? 二 🧮", steps=("√4 = 2\u2028", "שלום 2", "e\u0301\u200b")),
    Solution(problem="\x00\x1f", steps=("\x07", "\ufeff\ue000", "\u202e1+1")),
    Solution(problem="Many", steps=tuple(str(number) for number in range(60))),
)
"""Solutions whose steps are easily miscounted."""


class Finding(NamedTuple):
    """What one check found."""

    check: str
    """Name of the check."""
    ok: bool | None
    """Whether all is well; `None` if the check does not apply."""
    text: str
    """The measure, in words."""


@dataclass(frozen=True)
class Examination:
    """All that the doctor found out about a judge."""

    about: tuple[str, ...]
    """Kind, family and where things lie, a line each."""
    example: tuple[str, ...]
    """A decoded example with its score positions, a line each; empty for judges that make no tokens themselves."""
    findings: tuple[Finding, ...]
    """The checks."""
    golden: tuple[Golden, ...]
    """The built-in examples with today's scores; empty for judges that may answer differently every time."""

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Checks that found something wrong."""
        return tuple(finding for finding in self.findings if finding.ok is False)


def examine(name: str) -> Examination:
    """Open a judge in float32 without its calibrator and check it.

    Raises:
        CheckpointError: it cannot be opened; see `load_judge`.
        ConfigError: there is no such builtin judge.
    """
    from judgekit.judges.steps.by_step import StepLogitJudge

    judge = load_judge(name, calibrated=False)
    card = None if name.startswith(CARDLESS) else find_card(name).card
    judgements = judge.judge([*AWKWARD, Solution(problem="?", steps=()), *EXAMPLES])
    findings = [_finite(judgements), _counts(judgements[: len(AWKWARD) + 1]), _batches(judge)]
    example: tuple[str, ...] = ()
    if isinstance(judge, StepLogitJudge):
        example = _example(judge)
        # Compare the reserved tokens of a solution full of reserved text with those of a harmless one of as many
        # steps.
        from judgekit.text.neutralise import reserved_tokens

        layout = judge.spec.input
        own = layout.reserved if isinstance(layout, TemplateInput) else ()
        texts = [*dict.fromkeys([*reserved_tokens(judge.tokenizer), *own])]
        spoof = Solution(problem="".join(texts), steps=tuple(f"{text} {text}{text}" for text in texts) or ("x",))
        harmless = Solution(problem="x", steps=("x",) * len(spoof.steps))
        encoded, plain = judge.encode([spoof, harmless])
        special = set(judge.tokenizer.all_special_ids) | set(judge.tokenizer.added_tokens_decoder)
        in_spoof, in_plain = (sum(token in special for token in ids.input_ids) for ids in (encoded, plain))
        extra = in_spoof - in_plain
        ok = extra == 0 and len(encoded.positions_S) == len(spoof.steps)
        hostile = Finding(
            "hostile text", ok, f"{len(texts)} reserved strings in a candidate add {extra} reserved tokens"
        )
        findings += [hostile, _precision(judge, name)]
    else:
        nothing = "makes no tokens of its own"
        findings += [Finding("hostile text", None, nothing), Finding("precision", None, nothing)]
    findings.append(_clock(judge))
    golden = measure_golden(judge) if judge.info.deterministic else ()
    findings.append(_golden(judge, card))
    return Examination(_about(name, judge, card), example, tuple(findings), golden)


def _about(name: str, judge: Judge, card: JudgeCard | None) -> tuple[str, ...]:
    lines = [f"judge: {judge.info.judge_id}", f"recognised by: {recognised_by(name)}"]
    lines.append(f"decision: {judge.info.decision.model_dump_json()}")
    if card is None:
        return (*lines, f"kind: {type(judge).__name__}, without a card")
    lines += [f"kind: {card.kind}", f"family: {card.family or 'our own'}"]
    lines += [f"{what}: {place}" for what, place in card.spec.places()]
    model, revision = card.spec.checkpoint() or (None, None)
    if revision is not None:
        lines.append(f"revision of {model}: {revision}")
    if card.assumes:
        lines.append(f"assumed: {card.assumes}")
    if card.calibrator is not None:
        lines.append(f"calibrator: {describe_calibrator(card.calibrator)}, left out below")
    if card.reading is not None:
        lines.append(f"reading score: {card.reading.auc:.2f}, {card.reading.words}")
    return tuple(lines)


def _example(judge: StepLogitJudge) -> tuple[str, ...]:
    """Show an example as the judge reads it, and the token at every score position."""
    from judgekit.judges.steps.encoding import show_encoded

    tokenizer = judge.tokenizer
    [encoded] = judge.encode(EXAMPLES[:1])
    lines = [show_encoded(tokenizer, encoded), ""]
    for step, position in enumerate(encoded.positions_S):
        token = encoded.input_ids[position]
        lines.append(f"step {step} is read at position {position}: token {token} {tokenizer.decode([token])!r}")
    begins = encoded.input_ids[0] == tokenizer.bos_token_id
    lines.append(f"the text {'begins' if begins else 'does not begin'} with the begin-of-text token")
    for what in ("bos", "eos", "pad"):
        token = getattr(tokenizer, f"{what}_token_id")
        lines.append(f"{what} token: {'none' if token is None else f'{token} {tokenizer.decode([token])!r}'}")
    return (*lines, *_label_lines(judge))


def _label_lines(judge: StepLogitJudge) -> list[str]:
    from judgekit.judges.steps.label_token import label_token_id

    spec = judge.spec
    if isinstance(spec, StepClassifierSpec):
        names = {name: getattr(judge.model.config, name, None) for name in ("id2label", "label2id")}
        try:
            named = ", ".join(f"{index} {name!r}" for index, name in sorted(read_label_names(names).items()))
        except CheckpointError:  # where the card counts, the checkpoint may contradict itself
            named = "contradictory names"
        called = f"; the checkpoint has {named}" if named else ""
        return [f"ok labels of the head: {', '.join(map(str, spec.ok_labels or DEFAULT_OK_LABELS))}{called}"]
    if not isinstance(spec, LabelTokenSpec):
        return []
    labels = (("ok", spec.label_tokens.ok), ("error", spec.label_tokens.error))
    ids = {what: label_token_id(judge.tokenizer, label) for what, label in labels}
    return [f"{what} label: token {token} {judge.tokenizer.decode([token])!r}" for what, token in ids.items()]


def _finite(judgements: Sequence[Judgement]) -> Finding:
    """Look for scores that are not finite numbers: damaged or overflowing weights open without a word."""
    reasons = [judgement.no_verdict for judgement in judgements]
    n_wrong = reasons.count(NoVerdictReason.NON_FINITE)
    n_scored = n_wrong + reasons.count(None)
    if not n_wrong:
        return Finding("finite scores", True, f"on all {n_scored} solutions that got a verdict")
    causes = "weights that are damaged, or too large for this precision"
    return Finding("finite scores", False, f"not finite on {n_wrong} of {n_scored} solutions. Likely: {causes}")


def _counts(judgements: Sequence[Judgement]) -> Finding:
    """Compare steps with scores; the judgements are of `AWKWARD`, and then of a solution without steps."""
    wrong = [
        f"{len(solution.steps)} steps gave {judgement.verdict.n_steps} scores"
        for solution, judgement in zip(AWKWARD, judgements, strict=False)
        if judgement.verdict is not None and judgement.verdict.n_steps != len(solution.steps)
    ]
    if judgements[-1].verdict is not None:
        wrong.append("a solution without steps got a verdict")
    reasons = sorted({str(judgement.no_verdict) for judgement in judgements[:-1] if judgement.no_verdict is not None})
    unjudged = f"; without a verdict for {', '.join(reasons)}" if reasons else ""
    return Finding("n steps, n scores", not wrong, "; ".join(wrong) or f"on {len(AWKWARD)} awkward solutions{unjudged}")


def _batches(judge: Judge) -> Finding:
    if not judge.info.deterministic:
        return Finding("batch = single", None, "answers differently every time")
    solutions = [*EXAMPLES, *AWKWARD]
    together = judge.judge(solutions)
    alone = [judge.judge([solution])[0] for solution in solutions]
    largest = largest_difference(_scores(together), _scores(alone))
    return Finding("batch = single", largest <= BATCH_TOLERANCE, f"largest difference {largest:.2g}")


def _scores(judgements: Sequence[Judgement]) -> list[tuple[float, ...] | None]:
    return [None if item.verdict is None else item.verdict.p_ok_S for item in judgements]


def _clock(judge: Judge) -> Finding:
    """Tell whether the text that a judge reads changes with the day, which the card fixes."""
    from judgekit.judges.critics.critic import CriticJudge
    from judgekit.judges.steps.by_step import StepLogitJudge
    from judgekit.judges.steps.template import TemplateEncoder

    check = "day in the text"
    layout = judge.spec.input if isinstance(judge, StepLogitJudge) else None
    day_told = judge.spec.chat_date if isinstance(judge, StepLogitJudge) else None
    if isinstance(judge, StepLogitJudge) and isinstance(layout, TemplateInput) and layout.chat is not None:

        def render(day: date) -> Sequence[object]:
            return TemplateEncoder(judge.tokenizer, layout, chat_date=day).encode(EXAMPLES[:1])
    elif isinstance(judge, CriticJudge):
        day_told = judge.critic.chat_date
        question = [{"role": "user", "content": "1+1?"}]
        generator: Any = judge.generator
        if generator.render(question) is None:
            return Finding(check, None, "a server renders the prompts with its own date")
        tokenizer = generator.tokenizer

        def render(day: date) -> Sequence[object]:
            return render_text(tokenizer, question, chat_date=day)
    else:
        is_text = isinstance(judge, StepLogitJudge)
        return Finding(check, True if is_text else None, "reads no chat template")
    if not asks_for_the_day(render):
        return Finding(check, True, "the chat template does not use it")
    return Finding(check, True, f"the chat template uses it, and always gets {day_told} (chat_date)")


def _precision(judge: Judge, name: str) -> Finding:
    """Measure what bfloat16 changes: what rounding the weights cannot explain makes another judge of it."""
    try:
        halved = load_judge(name, calibrated=False, dtype="bfloat16")
    except CheckpointError as error:  # opened in float32 it is a sound judge
        return Finding("precision", None, f"does not run in bfloat16: {error}")
    largest = largest_difference(_scores(judge.judge(EXAMPLES)), _scores(halved.judge(EXAMPLES)))
    measure = f"bfloat16 changes scores by at most {largest:.2g}; {PRECISION_TOLERANCE:.2g} is allowed"
    if largest <= PRECISION_TOLERANCE:
        return Finding("precision", True, measure)
    return Finding("precision", False, f"{measure}. Use it with dtype=float32 only")


def _golden(judge: Judge, card: JudgeCard | None) -> Finding:
    if card is None or not judge.info.deterministic:
        return Finding("golden scores", None, "no card to store them in, or answers differ every time")
    if not card.golden:
        return Finding("golden scores", None, "none stored: `--store` for a judge directory, `--write DIR` for others")
    largest = golden_difference(judge, card.golden)
    measure = f"largest difference {largest:.2g} on {len(card.golden)} solutions; {TOLERANCE:.2g} is allowed"
    if largest <= TOLERANCE:
        return Finding("golden scores", True, measure)
    causes = "another separator or template (input), tokenizer, revision of the weights, or precision"
    return Finding("golden scores", False, f"{measure}. Likely: {causes}")


# Cards with golden scores


def store_golden(directory: Path, golden: Sequence[Golden]) -> None:
    """Put golden scores into a judge directory's `judge.json`.

    Raises:
        CheckpointError: the directory is not a judge.
    """
    update_card(directory, read_card(directory).model_copy(update={"golden": tuple(golden)}))


def write_judge(name: str, output: Path, golden: Sequence[Golden]) -> Path:
    """Make a public checkpoint or a card by hand a judge directory: a `judge.json` that names its model.

    Weights stay where they are. A checkpoint named by its Hub id is pinned to the revision that was opened.

    Raises:
        CheckpointError: the judge has no card, or see `find_card`.
        ConfigError: the output folder has a `judge.json` already.
    """
    if name.startswith(CARDLESS):
        raise ConfigError(f"{name} needs no judge.json: it is opened by its name")
    if (output / CARD).exists():
        raise ConfigError(f"{output / CARD} exists: choose another folder")
    found = find_card(name)
    spec = found.card.spec
    if isinstance(spec, StepClassifierSpec):
        # The labels are settled now, by what the checkpoint calls them today.
        location = locate_model(
            found.directory, spec.model, revision=spec.revision, hub_only=found.trust.root is not None
        )
        settled = settle_ok_labels(found.card, read_json(location / "config.json"))
        spec = spec.model_copy(update={"ok_labels": settled, "ok_labels_by": "card"})
    at_hub = not Path(name).exists() and ("model", ".") in spec.places()

    def beside(what: str, place: str) -> str:
        # What lies next to the card is named by its absolute path; an engine's paths begin where commands run.
        local = (found.directory / place).resolve()
        return str(local) if what != "engine" and os.path.exists(local) else place

    spec = spec.with_places(beside)
    if at_hub:
        spec = spec.pinned(name, snapshot_commit(found.directory))
    update = {"golden": tuple(golden), "spec": spec}
    output.mkdir(parents=True, exist_ok=True)
    for name_of_ids in (TRAIN_PROBLEMS, CALIBRATION_PROBLEMS):
        if (found.directory / name_of_ids).is_file():
            write_text(output / name_of_ids, (found.directory / name_of_ids).read_text())
    # A copy is no more the user's word than what it was made from.
    (write_own_card if found.trust.is_own else write_card)(output, found.card.model_copy(update=update))
    return output


def refuse_failed(examination: Examination, *, but: Sequence[str] = ()) -> None:
    """Turn failed checks, but for some, into an error.

    Raises:
        CheckpointError: a check failed; says which.
    """
    failed = [finding for finding in examination.failed if finding.check not in but]
    if failed:
        raise CheckpointError("; ".join(f"{finding.check}: {finding.text}" for finding in failed))
