"""iGRPO: each group is sampled twice, the second time with the policy's best draft in the prompt.

Source:
    iGRPO (2602.09000), section 3.2: of N drafts for a prompt, the one with the highest reward is appended to the
    prompt. GRPO trains on G responses to that longer prompt, and on them alone, with ratios and KL term on the longer
    prompt. Evaluation and use are without drafts. N is G, as in all of the paper's runs; with half of GRPO's
    `group_size`, which is what the paper uses, as many responses are sampled as by GRPO. Differs in: the words around
    the draft (the paper uses a system prompt in both stages that calls a prior draft guidance and no truth); of equally
    good drafts the first is taken, and one with an unknown reward only if all are unknown. Set temperature 0.7 and no
    KL term in the trainer to match the paper's runs.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from sgpo.algorithms.base import Algorithm, Need

DRAFT = "{draft}"
"""Marks the place of the draft in a template."""


class IGRPO(Algorithm):
    """GRPO on responses that the policy gives after it has read the best of its drafts."""

    type: Literal["igrpo"] = "igrpo"
    """Name of the algorithm."""
    template: str = (
        "\n\nAn earlier attempt, which may be wrong:\n{draft}\n\nSolve the problem from the beginning, and better.\n"
    )
    """What follows the prompt in the second sampling, with the draft in place of `{draft}`. Prompt, draft and response
    must fit into the policy's context together."""

    needs: ClassVar[frozenset[Need]] = frozenset({"drafts"})

    @model_validator(mode="after")
    def _has_a_draft(self) -> IGRPO:
        if self.template.count(DRAFT) != 1:
            raise ValueError(f"template {self.template!r} must contain {DRAFT} exactly once, where the draft goes")
        return self

    def behind(self, prompt: str, draft: str) -> str:
        """Return the prompt of the second sampling."""
        return prompt + self.template.replace(DRAFT, draft)
