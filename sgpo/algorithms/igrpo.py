"""iGRPO: a group is sampled twice, and the second time the policy has its best draft before it.

Source:
    iGRPO (2602.09000), section 3.2: of N drafts of a prompt the one with the highest reward, whatever that is, is put
    behind the prompt; of G responses to that, and of them alone, GRPO learns, with ratios and KL term on the longer
    prompt. Evaluation and use are without drafts. N is G, as in all of the paper's runs; with `group_size` half of
    GRPO's, which is theirs, as many responses are sampled. Differs in: the words around the draft (theirs is a system
    prompt, read to both stages, that calls a prior draft guidance and no truth), and of equally good drafts the first
    is taken, one with an unknown reward only where all are. Temperature 0.7 and no KL term, as in the paper's runs, are
    the trainer's to set.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from sgpo.algorithms.base import Algorithm, Need

DRAFT = "{draft}"
"""Where a template has the draft."""


class IGRPO(Algorithm):
    """GRPO on responses that the policy gives when it has read the best of as many drafts."""

    type: Literal["igrpo"] = "igrpo"
    """Name of the algorithm."""
    template: str = (
        "\n\nAn earlier attempt, which may be wrong:\n{draft}\n\nSolve the problem from the beginning, and better.\n"
    )
    """What follows the prompt in the second sampling, with the draft in place of `{draft}`. Prompt, draft and response
    have to fit into the policy's context together."""

    needs: ClassVar[frozenset[Need]] = frozenset({"drafts"})

    @model_validator(mode="after")
    def _has_a_draft(self) -> IGRPO:
        if self.template.count(DRAFT) != 1:
            raise ValueError(f"template {self.template!r} has no place for the draft, or several: put {DRAFT} in once")
        return self

    def behind(self, prompt: str, draft: str) -> str:
        """Return the prompt of the second sampling."""
        return prompt + self.template.replace(DRAFT, draft)
