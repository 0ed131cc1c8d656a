"""vLLM with the online trainer, through TRL's options: what is refused early, and evaluation by the same engine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object

from judgekit.engines.generation.base import ChoiceScores, Completion, LocalGenerator, completion_of
from judgekit.engines.generation.config import SamplingConfig
from judgekit.errors import ConfigError, boundary, one_line
from judgekit.text.prompts import CHAT_DATE, Prompt


def check_vllm(options: Mapping[str, Any], *, cpu: bool, policy: str) -> None:
    """Refuse what `trl.use_vllm` cannot do here, before policy and judge are opened; does nothing if it is not set.

    Args:
        options: TRL's options.
        cpu: Whether the policy trains on the CPU.
        policy: Name of the policy, for the message.

    Raises:
        ConfigError: vLLM is not installed, does not run here, or its server does not answer.
    """
    if not options.get("use_vllm"):
        return
    if importlib.util.find_spec("vllm") is None:
        raise ConfigError(
            "trl.use_vllm needs vLLM, which is not installed: pip install 'sgpo[vllm]', or set trl.use_vllm=false"
        )
    mode = options.get("vllm_mode", "colocate")
    if mode not in ("colocate", "server"):
        raise ConfigError(f"trl.vllm_mode must be colocate or server, not {mode}")
    if mode == "colocate":
        return
    if cpu:
        raise ConfigError(
            "trl.vllm_mode=server: TRL can send weights to a server only from a GPU, and there is none here"
        )
    if PartialState().is_main_process:
        from trl.generation.vllm_client import VLLMClient

        host, port = options.get("vllm_server_host", "0.0.0.0"), options.get("vllm_server_port", 8000)
        address = options.get("vllm_server_base_url") or f"http://{host}:{port}"
        wait_s = float(options.get("vllm_server_timeout", 240.0))
        with boundary(
            ConfigError,
            f"no vLLM server answers at {address}",
            explain=lambda error: f"{one_line(error)[:200]}. Start one: trl vllm-serve --model {policy}",
        ):
            VLLMClient(base_url=address, connection_timeout=wait_s)


class VllmRollouts(LocalGenerator):
    """The trainer's vLLM as a generator: the same engine and weights that rollouts come from.

    All processes call it together. The engine draws its own random numbers: samples do not depend on `seed`, and
    training after an evaluation samples differently than without one.

    Args:
        trainer: The trainer, with `use_vllm`.
        generator_id: Name of the policy.
    """

    def __init__(self, trainer: Any, *, generator_id: str) -> None:
        n_context = int(getattr(trainer.model.config, "max_position_embeddings", 2**31))
        super().__init__(trainer.processing_class, generator_id=generator_id, n_context=n_context, chat_date=CHAT_DATE)
        self.trainer = trainer

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: SamplingConfig,
        *,
        n: int = 1,
        seed: int = 0,
        choices_P: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Completion]]:
        """See `Generator.generate`. Fails on a prompt that fills the model's context.

        Raises:
            ConfigError: completions are constrained to choices.
        """
        if choices_P is not None:
            raise ConfigError("the trainer's vLLM cannot constrain completions to choices")
        ids_P = self.encode(prompts)
        rows = [row for row, ids in enumerate(ids_P) if len(ids) < self.n_context]
        shares = gather_object([[ids_P[row] for row in rows]])
        longest = max(map(len, shares))
        if longest == 0:
            return [[self.no_room] * n for _ in prompts]
        # A server's answers are split into equal shares, so what a process lacks is padded and thrown away.
        filler = next(ids for share in shares for ids in share)
        asked_P = [ids_P[row] for row in rows] + [filler] * (longest - len(rows))
        engine, step = self.trainer.vllm_generation, self.trainer.state.global_step
        if step != self.trainer._last_loaded_step:
            engine.sync_weights()
            self.trainer._last_loaded_step = step
        with _sampled_as(engine, sampling):
            _, ids_N, _, _ = engine.generate([ids for ids in asked_P for _ in range(n)], images=None, num_generations=n)
        found = [[self.no_room] * n for _ in prompts]
        for place, row in enumerate(rows):
            found[row] = [
                completion_of(self.tokenizer, ids_P[row], list(ids), end_ids=set(self.trainer.eos_token_ids))
                for ids in ids_N[place * n : (place + 1) * n]
            ]
        return found

    def choice_logprobs(self, prompts: Sequence[Prompt], *, choices: Sequence[str]) -> list[ChoiceScores]:
        """Not available.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("the trainer's vLLM cannot return probabilities of choices")


@contextmanager
def _sampled_as(engine: Any, sampling: SamplingConfig) -> Iterator[None]:
    """Let TRL's engine sample as an evaluation needs, and restore the training options afterwards."""
    asked = {
        "temperature": sampling.temperature or 0.0,
        "top_p": sampling.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "max_completion_length": sampling.max_tokens,
        "generation_kwargs": {},
        "structured_outputs_regex": None,
    }
    before = {name: getattr(engine, name) for name in asked}
    vars(engine).update(asked)
    try:
        yield
    finally:
        vars(engine).update(before)
