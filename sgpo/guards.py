"""Guards: small rules over the latest updates that notice a judge which does no good, or a policy that games one.

A rule reads what the batches of rollouts showed (`Observation`), has a value and a bound, and says what is done when
the bound is passed: warn, switch the judge off (plain GRPO from then on, the batch at hand included), or stop. An
update is one batch of rollouts; offline it is a chunk of judged responses, where there is no policy that could drift.
`sgpo.watch` feeds them. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from judgekit.config import BaseConfig

Action = Literal["warn", "judge_off", "stop"]
"""What is done when a guard fires. `warn`: said and written down; `judge_off`: training goes on as plain GRPO;
`stop`: the run ends with an error."""
N_RESAMPLES = 400
"""Resamples of groups behind the interval of an AUC."""
Z = 2.576
"""Half-width of the score interval of a share, in standard deviations: 99 %, as a guard looks after every update."""
ACCURACY_STILL = 0.01
"""Raw accuracy that rose by less than this stands still."""


class Known(NamedTuple):
    """A judged response whose outcome is known."""

    group: int
    """Its group in the batch."""
    right: bool
    """Whether its answer is right."""
    p_no_error: float
    """The judge's probability that it holds no error."""
    flawless: bool
    """Whether the judge decided that it holds none."""


class Observation(BaseConfig):
    """What one batch of rollouts showed. `None`: not known, or not of this batch."""

    step: int
    """The optimiser step that trains on it, 1-based."""
    accuracy: float | None = None
    """Mean raw outcome."""
    rts: float | None = None
    """Mean RTS of the responses that the algorithm had scored."""
    n_steps: float | None = None
    """Mean number of steps of a response."""
    n_tokens: float | None = None
    """Mean number of tokens of a response."""
    n_judged: int = 0
    """Responses that the judge was asked about."""
    n_unscored: int = 0
    """Those of them without a verdict."""
    n_all_negative: int = 0
    """Responses of groups without a right one, where the algorithm scores any."""
    n_one_step: int = 0
    """Those of them that were scored and have fewer than two steps."""
    n_cut: int = 0
    """Those of them that were cut off and not scored."""
    judge_drift: float | None = None
    """Of a judge that runs on the trainer's model: by how much a P(step ok) on a few fixed solutions has moved."""
    known: tuple[Known, ...] = ()
    """Judged responses whose outcome is known."""


class Reading(NamedTuple):
    """What a guard makes of the latest updates."""

    value: float
    """What is held against the bound."""
    fires: bool
    """Whether the bound is passed."""
    what: str
    """The value in words."""
    window: int
    """Updates that it is of."""


class Firing(BaseConfig):
    """A guard whose bound is passed, and was not an update before: a line of `guards.jsonl`."""

    step: int
    """The optimiser step, 1-based; offline 0, as judging comes before training."""
    guard: str
    """Name of the guard."""
    value: float
    """What was held against the bound."""
    bound: float
    """The bound."""
    window: int
    """Batches that the value is of."""
    action: Action
    """What was done."""
    what: str
    """The value in words."""
    way_out: str
    """What its reader may do about it."""

    def __str__(self) -> str:
        """Everything in one line."""
        done = {"warn": "a warning", "judge_off": "the judge is off from here on", "stop": "the run stops"}[self.action]
        held = f"last {self.window} batches; {self.value:.3g} against the bound {self.bound:g}"
        return f"guards.{self.guard} at step {self.step}: {self.what} ({held}): {done}. Way out: {self.way_out}"


class Guard(BaseConfig):
    """A rule over the latest updates."""

    bound: float
    """What the value is held against."""
    window: int = Field(default=10, ge=1)
    """Updates that it looks back on; fewer while there are not so many."""
    action: Action = "warn"
    """What is done when it fires."""

    way_out: ClassVar[str]
    """What its reader may do about it."""

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Read the observations of a run, in order; `None` where they do not say enough."""
        raise NotImplementedError


class JudgeAUC(Guard):
    """The judge does not tell right responses from wrong ones.

    Its value is the upper end of the interval of the AUC of P(no error), right against wrong responses, so that a few
    right responses do not condemn a judge by chance. Right responses are no business of SGPO, so the judge is asked
    about a few of them beside those that the algorithm asks for.
    """

    bound: float = Field(default=0.6, gt=0, le=1)
    """It fires where even the upper end of the interval of the AUC lies below this; 0.5 is chance."""
    window: int = Field(default=20, ge=1)
    """Updates with judged responses that it looks back on; fewer while there are not so many."""
    action: Action = "judge_off"
    """What is done when it fires."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Of the interval, by a bootstrap over groups."""
    min_right: int = Field(default=30, ge=2)
    """Right responses, and wrong ones, below which it says nothing."""
    sample: float = Field(default=0.25, gt=0, le=1)
    """Right responses that the judge is asked about for this, as a share of those that the algorithm asks about, where
    there are so many: what the guard costs."""

    way_out: ClassVar[str] = (
        "measure the judge on responses of this policy (`judgekit eval`), calibrate or train another, or set "
        "guards.judge_auc.action=warn"
    )

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Compare right and wrong responses of the latest updates in which the judge was asked."""
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
            f"AUC of P(no error) between {n_right} right and {len(known) - n_right} wrong responses is {auc:.2f}, at "
            f"most {upper:.2f}"
        )
        return Reading(upper, upper < self.bound, what, len(recent))


class Flawless(Guard):
    """The judge sees no error in nearly all responses that are known to be wrong."""

    bound: float = Field(default=0.8, ge=0, le=1)
    """It fires where the share of wrong responses in which the judge sees no error lies above this, its score interval
    of 99 % all of it."""

    way_out: ClassVar[str] = "lower the judge's threshold (`judgekit calibrate`), or take a judge that sees more"

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Count over the latest updates with judged wrong responses."""
        wrong = [[item.flawless for item in observation.known if not item.right] for observation in seen]
        recent = [flawless for flawless in wrong if flawless][-self.window :]
        hits, n = sum(map(sum, recent)), sum(map(len, recent))
        what = f"the judge sees no error in {hits} of {n} wrong responses"
        return _share(hits, n, bound=self.bound, what=what, window=len(recent))


class Unscored(Guard):
    """The judge gives too few verdicts."""

    bound: float = Field(default=0.5, ge=0, le=1)
    """It fires where the share of judged responses without a verdict lies above this, its score interval of 99 % all of
    it; also, at a run's end, where there was no verdict at all."""
    window: int = Field(default=5, ge=1)
    """Updates with judged responses that it looks back on; fewer while there are not so many."""
    action: Action = "stop"
    """What is done when it fires."""

    way_out: ClassVar[str] = "look at its reasons with `judgekit judge`, or raise guards.unscored.bound"

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Count over the latest updates in which the judge was asked."""
        recent = [observation for observation in seen if observation.n_judged][-self.window :]
        hits, n = sum(item.n_unscored for item in recent), sum(item.n_judged for item in recent)
        what = f"the judge gave no verdict for {hits} of {n} responses"
        return _share(hits, n, bound=self.bound, what=what, window=len(recent))


class OutOfReach(Guard):
    """Nothing in the responses of all-negative groups can be told apart: they have one step, or are cut off."""

    bound: float = Field(default=0.8, ge=0, le=1)
    """It fires where the share of responses of all-negative groups that have one step, or are cut off and not judged,
    lies above this, its score interval of 99 % all of it."""

    way_out: ClassVar[str] = (
        "one step: set segmentation to what the responses look like; cut off: raise max_completion_length, or set "
        "algorithm.truncated=judge"
    )

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Count over the latest updates with all-negative groups."""
        recent = [observation for observation in seen if observation.n_all_negative][-self.window :]
        n_one_step, n_cut = sum(item.n_one_step for item in recent), sum(item.n_cut for item in recent)
        n = sum(item.n_all_negative for item in recent)
        what = f"of {n} responses of groups without a right one, {n_one_step} have one step and {n_cut} are cut off"
        return _share(n_one_step + n_cut, n, bound=self.bound, what=what, window=len(recent))


def _share(hits: int, n: int, *, bound: float, what: str, window: int) -> Reading | None:
    """Read a share; it fires where the interval lies above the bound."""
    from judgekit.metrics.bootstrap import wilson_interval  # needs numpy

    lower = wilson_interval(hits, n, z=Z).lo
    return None if lower is None else Reading(hits / n, lower > bound, what, window)


class StepDrift(Guard):
    """Responses have many more steps than at the run's start (the policy may be splitting them), or far fewer.

    Silent until there are two windows that do not overlap.
    """

    bound: float = Field(default=2.0, gt=1)
    """It fires where the mean is more than this many times that of the run's first updates, or its inverse is."""

    size: ClassVar[Literal["steps", "tokens"]] = "steps"
    """What is counted of a response."""
    way_out: ClassVar[str] = (
        "read samples.jsonl; steps split: measure RTS by length (algorithm.unit=token) or merge short steps; steps "
        "skipped: close algorithm.window earlier"
    )

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Hold the mean of the latest updates against that of the first ones."""
        sizes = [item.n_steps if self.size == "steps" else item.n_tokens for item in seen]
        known = [size for size in sizes if size is not None]
        if len(known) < 2 * self.window:
            return None
        start, now = fmean(known[: self.window]), fmean(known[-self.window :])
        if not start or not now:
            return None
        what = f"a response has {now:.3g} {self.size}, {now / start:.2f} times the {start:.3g} of the run's start"
        factor = max(now / start, start / now)
        return Reading(factor, factor > self.bound, what, self.window)


class LengthDrift(StepDrift):
    """Responses are much longer than at the run's start, or much shorter. Silent like `StepDrift`."""

    size: ClassVar[Literal["steps", "tokens"]] = "tokens"
    way_out: ClassVar[str] = (
        "read samples.jsonl; longer: take a loss that does not favour length (loss=dr_grpo); shorter: lower lr"
    )


class JudgeDrift(Guard):
    """A judge that runs on the policy's own model says other things than at the start, see `judge_model`."""

    bound: float = Field(default=0.1, gt=0, le=1)
    """It fires where the policy's training has changed a P(step ok), on a few fixed solutions, by more than this."""
    window: int = Field(default=1, ge=1, le=1)
    """Updates that it looks back on."""
    action: Action = "stop"
    """What is done when it fires."""

    way_out: ClassVar[str] = "take judge_model=reference or own, or fit the probe again on this policy"

    def read(self, seen: Sequence[Observation]) -> Reading | None:
        """Read the last update."""
        drift = seen[-1].judge_drift if seen else None
        if drift is None:
            return None
        what = (
            f"a P(step ok) has moved by {drift:.3f} with the policy's model, and the head was fitted on other features"
        )
        return Reading(drift, drift > self.bound, what, 1)


class RTSAlone(Guard):
    """RTS rises and accuracy stands still: the policy may be pleasing the judge, not solving problems."""

    bound: float = Field(default=0.1, gt=0)
    """It fires where the mean RTS rose by more than this over the updates before while accuracy rose by less than
    0.01."""
    way_out: ClassVar[str] = "read samples.jsonl; close algorithm.window earlier, or take another judge"

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
        what = f"mean RTS rose by {rts:.2f} and accuracy by {accuracy:.2f} over the {self.window} updates before"
        return Reading(rts, rts > self.bound and accuracy < ACCURACY_STILL, what, self.window)


class GuardsConfig(BaseConfig):
    """What warns, switches the judge off or stops a run because the judge does no good; `null` leaves a guard out."""

    judge_auc: JudgeAUC | None = JudgeAUC()
    """The judge does not tell right responses from wrong ones."""
    flawless: Flawless | None = Flawless()
    """The judge sees no error in wrong responses."""
    unscored: Unscored | None = Unscored()
    """The judge gives too few verdicts."""
    out_of_reach: OutOfReach | None = OutOfReach()
    """Responses have one step, or are cut off, so that the algorithm does nothing."""
    judge_drift: JudgeDrift | None = JudgeDrift()
    """A judge that runs on the policy's own model has moved with it. This and all below are for online training."""
    step_drift: StepDrift | None = StepDrift()
    """Responses have other numbers of steps than at the start."""
    length_drift: LengthDrift | None = LengthDrift()
    """Responses have other lengths than at the start."""
    rts_alone: RTSAlone | None = RTSAlone()
    """RTS rises and accuracy stands still."""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_releases(cls, data: Any) -> Any:
        """Read the spelling from before guards had actions; what it switches off is off."""
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
        """The guards that are not left out, by name."""
        return {name: guard for name, guard in self if isinstance(guard, Guard)}


EARLIER = {
    "max_unscored_frac": (("unscored",), "bound"),
    "max_step_factor": (("step_drift",), "bound"),
    "max_rts_rise": (("rts_alone",), "bound"),
    "alarm_rows": (("step_drift", "rts_alone"), "window"),
}
"""Options of earlier releases -> the guards that have them today, and how they are called there."""
