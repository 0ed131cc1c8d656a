"""Opens the engine that a configuration names. torch and vLLM are imported only if one of their engines is used."""

from __future__ import annotations

from datetime import date

from judgekit.engines.generation.base import Generator
from judgekit.engines.generation.config import OpenAIGeneration, TransformersGeneration, VllmGeneration
from judgekit.engines.generation.openai import HttpGenerator
from judgekit.text.prompts import CHAT_DATE


def build_generator(
    config: TransformersGeneration | VllmGeneration | OpenAIGeneration, *, chat_date: date = CHAT_DATE
) -> Generator:
    """Open the configured engine.

    Args:
        config: Which engine.
        chat_date: The day that a chat template is told where it asks for today's; a server that renders prompts by
            itself goes by its own clock.

    Raises:
        CheckpointError: model or tokenizer cannot be opened.
        ConfigError: vLLM is not installed, or the environment variable of the key is not set.
    """
    if isinstance(config, VllmGeneration):
        from judgekit.engines.generation.vllm import VllmGenerator

        return VllmGenerator(config, chat_date=chat_date)
    if isinstance(config, OpenAIGeneration):
        return HttpGenerator(config, chat_date=chat_date)
    from judgekit.engines.generation.transformers import TransformersGenerator

    return TransformersGenerator.open(config, chat_date=chat_date)
