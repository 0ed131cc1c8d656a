"""What a card says about calibration: the calibrator's learned numbers, their data, and the effect."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Finite = Annotated[float, Field(allow_inf_nan=False)]
Slope = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Fingerprint(_Part):
    """Which data something was fitted on."""

    data: str
    """Name of the data set."""
    sha256: str
    """Hash over the ids of its solutions, in order."""
    n_solutions: int
    """Solutions that counted."""
    n_problems: int
    """Distinct problems among them."""
    sources: tuple[str, ...]
    """Their sources."""
    generators: tuple[str, ...]
    """Who wrote them; `unknown` stands for those that do not say."""
    subsets: tuple[str, ...] = ()
    """Their subsets as SOURCE/SUBSET; empty if there are none or the card is older than this field."""
    min_steps: int | None = None
    """Steps of the shortest solution; `null` in cards older than this field."""
    max_steps: int | None = None
    """Steps of the longest solution, and so the number of positions seen; `null` in cards older than this field."""


class _CalibratorPart(_Part):
    fingerprint: Fingerprint
    """What it was fitted on."""


class IdentityCard(_CalibratorPart):
    """No calibrator was better than none."""

    kind: Literal["identity"] = "identity"
    """Selects this kind."""


class TemperatureCard(_CalibratorPart):
    """A fitted temperature: step logits are divided by it."""

    kind: Literal["temperature"] = "temperature"
    """Selects this kind."""
    temperature: float = Field(gt=0, allow_inf_nan=False)
    """Above 1 makes the judge less sure."""


class PlattCard(_CalibratorPart):
    """logit P = slope * logit + offset."""

    kind: Literal["platt"] = "platt"
    """Selects this kind."""
    slope: Slope
    """Factor of the step logit."""
    offset: Finite
    """Added logit."""


class BetaCard(_CalibratorPart):
    """logit P = a log p - b log(1 - p) + c."""

    kind: Literal["beta"] = "beta"
    """Selects this kind."""
    a: Slope
    """Factor of log p."""
    b: Slope
    """Factor of -log(1 - p)."""
    c: Finite
    """Added logit."""


class PositionCard(_CalibratorPart):
    """logit P = slope * logit + offset + drift * log(1 + position)."""

    kind: Literal["position"] = "position"
    """Selects this kind."""
    slope: Slope
    """Factor of the step logit."""
    offset: Finite
    """Added logit at the first step."""
    drift: Finite
    """Factor of log(1 + position)."""


class LengthCard(_CalibratorPart):
    """logit P = slope * logit + offset + drift * log(n_steps)."""

    kind: Literal["length"] = "length"
    """Selects this kind."""
    slope: Slope
    """Factor of the step logit."""
    offset: Finite
    """Added logit in a solution of one step."""
    drift: Finite
    """Factor of log(n_steps)."""


class IsotonicCard(_CalibratorPart):
    """Straight lines between knots, flat beyond the outer ones."""

    kind: Literal["isotonic"] = "isotonic"
    """Selects this kind."""
    knot_probs: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1)
    """The judge's P(step ok) at the knots, ascending."""
    knot_values: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(min_length=1)
    """Calibrated P(step ok) at the knots, never falling."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.knot_probs) != len(self.knot_values):
            raise ValueError(f"{len(self.knot_values)} values for {len(self.knot_probs)} knots")
        if list(self.knot_probs) != sorted(set(self.knot_probs)) or list(self.knot_values) != sorted(self.knot_values):
            raise ValueError("the knots of an isotonic calibrator must rise")
        return self


class PosteriorCard(_CalibratorPart):
    """Softmax over the outcomes of weight * log posterior + none ("no error") + position * log(1 + k) (error at k)."""

    kind: Literal["posterior"] = "posterior"
    """Selects this kind."""
    weight: Slope
    """Factor of log posterior."""
    none: Finite
    """Term of "no error"."""
    position: Finite
    """Factor of log(1 + k) for a first error at step k."""


CalibratorCard = Annotated[
    IdentityCard | TemperatureCard | PlattCard | BetaCard | PositionCard | LengthCard | PosteriorCard | IsotonicCard,
    Field(discriminator="kind"),
]
"""The calibrator of a judge."""


def describe_calibrator(card: CalibratorCard) -> str:
    """Say in a few words what a calibrator is.

    Example:
        >>> fingerprint = Fingerprint(data="d", sha256="0", n_solutions=1, n_problems=1, sources=(), generators=())
        >>> describe_calibrator(PlattCard(slope=0.5, offset=-1.25, fingerprint=fingerprint))
        'platt (slope 0.5, offset -1.25)'
    """
    if isinstance(card, IsotonicCard):
        return f"isotonic ({len(card.knot_probs)} knots)"
    learned = card.model_dump(exclude={"kind", "fingerprint"})
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in learned.items())
    return f"{card.kind} ({numbers})" if numbers else card.kind


class CandidateCard(_Part):
    """One calibrator that was tried."""

    kind: str
    """Its name."""
    log_loss: float | None
    """Mean of -log P(true first error) over the split, nats, each solution under a fit without its problem's fold;
    `null` if it could not be fitted."""
    std_error: float | None
    """Standard error of `log_loss`, clustered by problem."""
    gap: float | None
    """`log_loss` minus that of the best candidate, 0 for the best itself."""
    gap_std_error: float | None
    """Standard error of `gap`, of the paired differences clustered by problem."""
    reason: str | None = None
    """Why it was left out: it could not be fitted, is no better than without the judge, or does harm."""


class CalibrationReport(_Part):
    """What calibration changed, measured on the calibration split itself by cross-fitting over problems."""

    before: dict[str, float]
    """`ece`, `brier` and `nll` of P(step ok | earlier ok), and `first_error_log_loss` of the posterior, both in nats,
    without the calibrator."""
    after: dict[str, float]
    """The same under the calibrator that is kept: each solution under a fit of this one kind without its problem's
    fold. Where `after_is` says `nested` the kind, too, was chosen without the fold."""
    after_is: Literal["kept", "nested"] = "nested"
    """What `after` and `bins_after` are figures of; cards older than this field have nested ones."""
    nested: dict[str, float] | None = None
    """The same with the kind chosen and fitted without the fold: what choosing and fitting are worth on new data,
    which may be worse than the calibrator kept. `null` if nothing was to be chosen."""
    floors: dict[str, dict[str, float]] = Field(default_factory=dict)
    """The same of judges that read nothing, fitted in the same folds, see `judgekit.training.floors`. Empty if a
    fold leaves only right or only wrong solutions, and in older cards."""
    warnings: tuple[str, ...] = ()
    """Sentences about what calibration could not fix or made worse."""
    bins_before: tuple[dict[str, float | int | None], ...]
    """Bins of the reliability diagram before."""
    bins_after: tuple[dict[str, float | int | None], ...]
    """Bins of the reliability diagram after."""
    n_steps: int
    """Steps that counted."""
    candidates: tuple[CandidateCard, ...] = ()
    """Calibrators that were tried, the simplest first; empty if none was to be chosen."""
    chosen_by_fold: tuple[str, ...] = ()
    """The kind chosen in each fold: how steady the choice is; empty if none was to be chosen."""


class ConformalCard(_Part):
    """Thresholds behind index sets and certified prefixes, learned on problems that nothing else was fitted on.

    They hold for calibrated verdicts; what they promise, and for which draw, is told in
    `judgekit.calibration.conformal`.
    """

    alpha: float = Field(gt=0, lt=1)
    """Probability with which a set may miss the first error, and a prefix may contain it."""
    max_mass: float = Field(ge=0, le=1)
    """An index set holds the outcomes with at most this mass of more probable ones above them; 1 keeps all of them."""
    min_survival: float = Field(ge=0, le=1)
    """A certified prefix holds the steps whose survival lies above this; 1 certifies none. For any solution."""
    min_survival_if_wrong: float = Field(ge=0, le=1)
    """The same for solutions that are known to have an error."""
    n_problems: int = Field(ge=0)
    """Problems with a verdict behind `max_mass` and `min_survival`."""
    n_problems_if_wrong: int = Field(ge=0)
    """Problems with a verdict on an erroneous solution, behind `min_survival_if_wrong`."""
    n_no_verdict: int = Field(ge=0)
    """Solutions without a verdict, which counted in none of them: every outcome is in their set, no step certified."""
    fingerprint: Fingerprint
    """What they were learned on."""


def describe_after(report: CalibrationReport, kind: str) -> str:
    """Say what the figures "after" are figures of.

    Args:
        report: The figures.
        kind: The calibrator of the card.
    """
    if report.after_is == "nested":
        return "after choosing and fitting a calibrator in every fold"
    return "after (none: probabilities are left as they are)" if kind == "identity" else f"after ({kind}, cross-fitted)"
