"""Guards: rules over recent updates that detect a judge that does not help, or a policy that exploits it.

A rule reads what the batches of rollouts showed (`Observation`). It has a value, a bound, and an action for when the
bound is passed: warn, switch the judge off (plain GRPO from then on, including the current batch), or stop. An update
is one batch of rollouts; offline it is a chunk of judged responses, where no policy can drift. `sgpo.watch` feeds the
guards. Imports no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.types import NoVerdictReason

Action = Literal["warn", "judge_off", "stop"]
"""What happens when a guard fires. `warn`: a logged warning; `judge_off`: training continues as plain GRPO; `stop`: the
run ends with an error."""
N_RESAMPLES = 400
"""Bootstrap resamples of groups for the interval of an AUC."""
Z = 2.576
"""Half-width of the score interval of a fraction, in standard deviations: 99 %, because a guard looks after every
update."""
ACCURACY_STILL = 0.01
"""A rise in raw accuracy by less than this counts as none."""


class Known(NamedTuple):
    """A judged response whose outcome is known."""

    group: int
    """Its group in the batch."""
    right: bool
    """Whether its answer is correct."""
    p_no_error: float
    """The judge's probability that there is no error."""
    flawless: bool
    """Whether the judge decided that there is no error."""


class Observation(BaseConfig):
    """What one batch of rollouts showed. `None`: unknown, or not applicable to this batch."""

    step: int
    """The optimiser step that trains on it, 1-based."""
    accuracy: float | None = None
    """Mean raw outcome."""
    rts: float | None = None
    """Mean RTS of the responses that the algorithm wanted scored."""
    n_steps: float | None = None
    """Mean number of steps per response."""
    n_tokens: float | None = None
    """Mean number of tokens per response."""
    n_judged: int = 0
    """Number of judged responses."""
    n_unscored: int = 0
    """Number of those without a verdict."""
    n_by_reason: dict[NoVerdictReason, int] = Field(default_factory=dict)
    """Number of those for each reason that the judge gave."""
    n_all_negative: int = 0
    """Number of responses in groups without a correct one, if the algorithm scores any."""
    n_one_step: int = 0
    """Number of those that were scored and have fewer than two steps."""
    n_cut: int = 0
    """Number of those that were truncated and not scored."""
    judge_drift: float | None = None
    """For a judge that runs on the trainer's model: how far P(step ok) on a few fixed solutions has moved."""
    known: tuple[Known, ...] = ()
    """Judged responses with a known outcome."""


class Reading(NamedTuple):
    """A guard's reading of the latest updates."""

    value: float
    """The value that is compared with the bound."""
    fires: bool
    """Whether the bound is passed."""
    what: str
    """The value in words."""
    window: int
    """Number of updates behind it."""


class Firing(BaseConfig):
    """A guard that passed its bound at this update and not at the last: a line of `guards.jsonl`."""

    step: int
    """The optimiser step, 1-based; 0 offline, where judging precedes training."""
    guard: str
    """Name of the guard."""
    value: float
    """The value that was compared with the bound."""
    bound: float
    """The bound."""
    window: int
    """Number of batches behind the value."""
    action: Action
    """The action taken."""
    what: str
    """The value in words."""
    way_out: str
    """What you can do about it."""

    def __str__(self) -> str:
        """All of it in one line."""
        done = {"warn": "a warning", "judge_off": "the judge is off from here on", "stop": "the run stops"}[self.action]
        held = f"last {self.window} batches; {self.value:.3g} against the bound {self.bound:g}"
        return f"guards.{self.guard} at step {self.step}: {self.what} ({held}): {done}. What to do: {self.way_out}"


class Guard(BaseConfig):
    """A rule over recent updates."""

    bound: float
    """The bound that the value is compared with."""
    window: int = Field(default=10, ge=1)
    """Number of updates to look back on; fewer at the start of a run."""
    action: Action = "warn"
    """What happens when it fires."""

    way_out: ClassVar[str]
    """What you can do about it."""

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Read the observations of a run, in order; `None` if they are not enough for a value."""
        raise NotImplementedError


class JudgeAUC(Guard):
    """The judge does not distinguish correct responses from wrong ones.

    Its value is the upper end of the interval of the AUC of P(no error), correct against wrong responses, so that a
    judge is not rejected by chance on a few correct responses. SGPO itself does not need verdicts on correct responses,
    so the guard has a few of them judged in addition.
    """

    bound: float = Field(default=0.6, gt=0, le=1)
    """It fires if even the upper end of the interval of the AUC is below this; 0.5 is chance."""
    window: int = Field(default=20, ge=1)
    """Number of updates with judged responses to look back on; fewer at the start of a run."""
    action: Action = "judge_off"
    """What happens when it fires."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Confidence level of the interval, by a bootstrap over groups."""
    min_right: int = Field(default=30, ge=2)
    """Minimum number of correct responses, and of wrong ones; below it the guard stays silent."""
    sample: float = Field(default=0.25, gt=0, le=1)
    """Correct responses that are judged for this guard, as a fraction of those that the algorithm has judged, if there
    are enough: the cost of the guard."""

    way_out: ClassVar[str] = (
        "measure the judge on responses of this policy (`judgekit eval`), calibrate it or train another, or set "
        "guards.judge_auc.action=warn"
    )

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Compare correct and wrong responses in the latest updates in which the judge was used."""
        recent = [observation for observation in seen if observation.known][-self.window :]
        known = [(f"{observation.step}:{item.group}", item) for observation in recent for item in observation.known]
        n_right = sum(item.right for _, item in known)
        if min(n_right, len(known) - n_right) < self.min_right:
            return None
        import numpy as np  # these take longer to import than pydantic

        from judgekit.metrics.bootstrap import Resamples, percentile_interval
        from judgekit.metrics.ranking import weighted_ranking

        p_N = np.array([item.p_no_error for _, item in known])
        right_N = np.array([float(item.right) for _, item in known])
        resamples = Resamples.of([cluster for cluster, _ in known], n_resamples=N_RESAMPLES, seed=0)
        auc_R = resamples.of_weights(lambda weights_RN: weighted_ranking(p_N, right_N, weights_RN)[:, 0])
        auc = float(weighted_ranking(p_N, right_N, np.ones((1, len(known))))[0, 0])
        upper = percentile_interval(auc, auc_R, level=self.level).hi
        if upper is None:
            return None
        what = (
            f"AUC of P(no error) between {n_right} correct and {len(known) - n_right} wrong responses is {auc:.2f}, at "
            f"most {upper:.2f}"
        )
        return Reading(upper, upper < self.bound, what, len(recent))


class Flawless(Guard):
    """The judge sees no error in nearly all responses that are known to be wrong."""

    bound: float = Field(default=0.8, ge=0, le=1)
    """It fires if the fraction of wrong responses in which the judge sees no error is above this, with its whole 99 %
    score interval."""

    way_out: ClassVar[str] = "lower the judge's threshold (`judgekit calibrate`), or use a judge that finds more errors"

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Count over the latest updates with judged wrong responses."""
        wrong = [[item.flawless for item in observation.known if not item.right] for observation in seen]
        recent = [flawless for flawless in wrong if flawless][-self.window :]
        hits, n = sum(map(sum, recent)), sum(map(len, recent))
        what = f"the judge sees no error in {hits} of {n} wrong responses"
        return _share(hits, n, bound=self.bound, what=what, window=len(recent))


def describe_reasons(seen: Sequence[Observation]) -> str:
    """Return the reasons for missing verdicts with their counts, in brackets, most frequent first; empty if unknown."""
    n_by_reason = sum((Counter(item.n_by_reason) for item in seen), Counter[NoVerdictReason]())
    told = ", ".join(f"{reason}: {n}" for reason, n in n_by_reason.most_common())
    return f" ({told})" if told else ""


class Unscored(Guard):
    """The judge gives too few verdicts."""

    bound: float = Field(default=0.5, ge=0, le=1)
    """It fires if the fraction of judged responses without a verdict is above this, with its whole 99 % score interval;
    also if there was no verdict at all by the end of the run."""
    window: int = Field(default=5, ge=1)
    """Number of updates with judged responses to look back on; fewer at the start of a run."""
    action: Action = "stop"
    """What happens when it fires."""

    way_out: ClassVar[str] = "`judgekit judge` on such responses gives the reasons; or raise guards.unscored.bound"

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Count over the latest updates in which the judge was used."""
        recent = [observation for observation in seen if observation.n_judged][-self.window :]
        hits, n = sum(item.n_unscored for item in recent), sum(item.n_judged for item in recent)
        what = f"the judge gave no verdict for {hits} of {n} responses{describe_reasons(recent)}"
        return _share(hits, n, bound=self.bound, what=what, window=len(recent))


class OutOfReach(Guard):
    """Responses of all-negative groups cannot be ranked: they have one step, or are truncated."""

    bound: float = Field(default=0.8, ge=0, le=1)
    """It fires if the fraction of responses in all-negative groups that have one step, or are truncated and not judged,
    is above this, with its whole 99 % score interval."""

    way_out: ClassVar[str] = (
        "one step: set segmentation to match the responses; truncated: raise max_completion_length, or set "
        "algorithm.truncated=judge"
    )

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Count over the latest updates with all-negative groups."""
        recent = [observation for observation in seen if observation.n_all_negative][-self.window :]
        n_one_step, n_cut = sum(item.n_one_step for item in recent), sum(item.n_cut for item in recent)
        n = sum(item.n_all_negative for item in recent)
        what = f"of {n} responses in groups without a correct one, {n_one_step} have one step and {n_cut} are truncated"
        return _share(n_one_step + n_cut, n, bound=self.bound, what=what, window=len(recent))


def _share(hits: int, n: int, *, bound: float, what: str, window: int) -> Reading | None:
    """Read a fraction; it fires if the interval lies above the bound."""
    from judgekit.metrics.bootstrap import wilson_interval  # needs numpy

    lower = wilson_interval(hits, n, z=Z).lo
    return None if lower is None else Reading(hits / n, lower > bound, what, window)


class StepDrift(Guard):
    """Responses have many more steps than at the start of the run (the policy may be splitting them), or far fewer.

    Silent until there are two windows that do not overlap.
    """

    bound: float = Field(default=2.0, gt=1)
    """It fires if the mean is more than this many times that of the run's first updates, or less than the inverse."""

    size: ClassVar[Literal["steps", "tokens"]] = "steps"
    """Quantity that is counted per response."""
    way_out: ClassVar[str] = (
        "read samples.jsonl; steps split: measure RTS by length (algorithm.unit=token) or merge short steps; steps "
        "skipped: end algorithm.window earlier"
    )

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Compare the mean of the latest updates with that of the first ones."""
        sizes = [item.n_steps if self.size == "steps" else item.n_tokens for item in seen]
        known = [size for size in sizes if size is not None]
        if len(known) < 2 * self.window:
            return None
        start, now = fmean(known[: self.window]), fmean(known[-self.window :])
        if not start or not now:
            return None
        what = f"a response has {now:.3g} {self.size}, {now / start:.2f} times the {start:.3g} at the start of the run"
        factor = max(now / start, start / now)
        return Reading(factor, factor > self.bound, what, self.window)


class LengthDrift(StepDrift):
    """Responses are much longer than at the start of the run, or much shorter. Silent like `StepDrift`."""

    size: ClassVar[Literal["steps", "tokens"]] = "tokens"
    way_out: ClassVar[str] = (
        "read samples.jsonl; longer: use a loss that does not favour length (loss=dr_grpo); shorter: lower lr"
    )


class JudgeDrift(Guard):
    """A judge that runs on the policy's own model has changed since the start, see `judge_model`."""

    bound: float = Field(default=0.1, gt=0, le=1)
    """It fires if training has changed a P(step ok), on a few fixed solutions, by more than this."""
    window: int = Field(default=1, ge=1, le=1)
    """Number of updates to look back on."""
    action: Action = "stop"
    """What happens when it fires."""

    way_out: ClassVar[str] = "use judge_model=reference or own, or fit the probe again on this policy"

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Read the last update."""
        drift = seen[-1].judge_drift if seen else None
        if drift is None:
            return None
        what = (
            f"a P(step ok) has moved by {drift:.3f} with the policy's model, but the head was fitted on the original "
            "features"
        )
        return Reading(drift, drift > self.bound, what, 1)


class RTSAlone(Guard):
    """RTS rises but accuracy does not: the policy may be pleasing the judge instead of solving problems."""

    bound: float = Field(default=0.1, gt=0)
    """It fires if the mean RTS rose by more than this compared with the window before, while accuracy rose by less than
    0.01."""
    way_out: ClassVar[str] = "read samples.jsonl; end algorithm.window earlier, or use another judge"

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Compare the latest updates with as many before them."""
        rows = [(item.rts, item.accuracy) for item in seen if item.rts is not None and item.accuracy is not None]
        if len(rows) < 2 * self.window:
            return None
        rts, accuracy = (
            fmean(now) - fmean(before)
            for before, now in (
                (column[: self.window], column[self.window :]) for column in zip(*rows[-2 * self.window :], strict=True)
            )
        )
        what = (
            f"mean RTS rose by {rts:.2f} and accuracy by {accuracy:.2f} compared with the {self.window} updates before"
        )
        return Reading(rts, rts > self.bound and accuracy < ACCURACY_STILL, what, self.window)


class GuardsConfig(BaseConfig):
    """Guards: what warns, switches the judge off or stops a run when the judge does not help; `null` disables one."""

    judge_auc: JudgeAUC | None = JudgeAUC()
    """The judge does not distinguish correct responses from wrong ones."""
    flawless: Flawless | None = Flawless()
    """The judge sees no error in wrong responses."""
    unscored: Unscored | None = Unscored()
    """The judge gives too few verdicts."""
    out_of_reach: OutOfReach | None = OutOfReach()
    """Responses have one step or are truncated, so that the algorithm does nothing."""
    judge_drift: JudgeDrift | None = JudgeDrift()
    """A judge that runs on the policy's own model has moved with it. This guard and those below are online only."""
    step_drift: StepDrift | None = StepDrift()
    """The number of steps per response has changed since the start."""
    length_drift: LengthDrift | None = LengthDrift()
    """The length of responses has changed since the start."""
    rts_alone: RTSAlone | None = RTSAlone()
    """RTS rises but accuracy does not."""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_releases(cls, data: Any) -> Any:
        """Read the spelling from before guards had actions; a guard that it turns off stays off."""
        if not isinstance(data, dict) or not data.keys() & EARLIER.keys():
            return data
        data = dict(data)
        for key, (guards, option) in EARLIER.items():
            if key not in data:
                continue
            value = data.pop(key)
            for guard in guards:
                options = data.get(guard, {})
                if value is None or options is None:
                    data[guard] = None
                elif isinstance(options, dict):
                    data[guard] = {option: value} | options
        return data

    @property
    def on(self) -> dict[str, Guard]:
        """The guards that are on, by name."""
        return {name: guard for name, guard in self if isinstance(guard, Guard)}


EARLIER = {
    "max_unscored_frac": (("unscored",), "bound"),
    "max_step_factor": (("step_drift",), "bound"),
    "max_rts_rise": (("rts_alone",), "bound"),
    "alarm_rows": (("step_drift", "rts_alone"), "window"),
}
"""Options of earlier releases -> the guards that have them now, and their names there."""
