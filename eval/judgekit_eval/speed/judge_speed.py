"""Speed of judging: our engine and the methods of public scripts, with one model on the same solutions in one run.

All methods read the same two logits at every step, so they must give the same numbers; their differences are reported.
They are run in turn, round after round, and compared within each round, because only ratios carry over to another
machine or hour. Targets: what a well-made engine reaches if the processor has instructions for the format. Axes: `_N`
solutions, `_R` rounds.
"""

from __future__ import annotations

import itertools
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from judgekit.errors import ConfigError, DataError
from judgekit.progress import Progress
from judgekit.types import Precision, Solution
from judgekit_eval.speed.config import BenchConfig
from judgekit_eval.speed.schema import BenchResults, Data, Machine, MethodSpeed, Model, Ratio

BASELINE = "one at a time, all logits"
"""Name of the method of most public scripts."""
ENGINE = "our engine"
"""Name of ours."""
PEAK_SIZE = 1024
"""Rows and columns of the matrices by which the processor's peak is measured."""


@dataclass(frozen=True)
class Method:
    """One method to judge some solutions."""

    name: str
    """What it does."""
    task: str
    """What is judged; methods with one task and precision must give the same numbers."""
    dtype: Precision
    """Precision of the weights."""
    n_solutions: int
    """Solutions that it judges."""
    n_tokens: int
    """Tokens of these solutions, each in full and without padding, however often a method computes them."""
    run: Callable[[], list[np.ndarray]]
    """Judges them all. Shape (n_steps,) each."""
    against: str | None = None
    """Key of the method that it is compared with."""
    target: float | None = None
    """How many times as fast a well-made engine is; `None` if nothing is expected."""

    @property
    def key(self) -> str:
        """Precision and name."""
        return f"{self.dtype}, {self.name}"


def bench(config: BenchConfig, solutions: Sequence[Solution], *, progress: bool = True) -> BenchResults:
    """Measure all methods.

    Raises:
        CheckpointError: the model or its tokenizer cannot be opened.
        ConfigError: a label gives no token, or the chat template cannot be used.
        DataError: there are too few solutions.
    """
    import torch

    from judgekit.engines.checkpoint import locate_model
    from judgekit.engines.scoring.load import load_language_model, load_tokenizer, to_fastest_device
    from judgekit.judges.card import CARD, read_card

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    location, folder = config.model, Path(config.model)
    if (folder / CARD).is_file():
        weights = read_card(folder).spec.checkpoint()
        if weights is None:
            raise ConfigError(f"{folder} has no weights here: give a judge that runs a model in this process")
        location = str(locate_model(folder, weights[0]))
    tokenizer = load_tokenizer(location)
    usable = [solution for solution in solutions if solution.steps]
    n_wanted = max(config.n_solutions, config.group_size)
    if len(usable) < n_wanted:
        raise DataError(
            f"{config.data} has {len(usable)} solutions with steps, but {n_wanted} are needed: lower n_solutions"
        )
    chosen = random.Random(config.seed).sample(usable, n_wanted)
    methods: list[Method] = []
    dtypes: list[Precision] = ["float32", "bfloat16"] if config.bfloat16 else ["float32"]
    for dtype in dtypes:
        model = to_fastest_device(load_language_model(location, dtype=dtype))
        methods += build_methods(model, tokenizer, chosen, dtype=dtype, config=config)
    rounds = measure(methods, rounds=config.rounds, device=model.device, progress=progress)
    n_body = sum(p.numel() for p in model.base_model.parameters()) - model.get_input_embeddings().weight.numel()
    return BenchResults(
        schema_version=1,
        machine=describe_machine(model.device),
        model=Model(type=model.config.model_type, n_parameters_of_the_layers=n_body),
        data=Data(n_solutions=config.n_solutions, mean_tokens=methods[0].n_tokens / methods[0].n_solutions),
        clock="process CPU time" if model.device.type == "cpu" else "wall time",
        peak_gflops={dtype: rounds.peak_flops[dtype] / 1e9 for dtype in dtypes},
        ways=[summarise(method, rounds, n_body=n_body) for method in methods],
    )


def build_methods(
    model: Any, tokenizer: Any, solutions: Sequence[Solution], *, dtype: Precision, config: BenchConfig
) -> Iterator[Method]:
    """Yield the methods of judging in one precision; groups and conversations are compared in float32 alone."""
    from judgekit.judges.steps.encoding import encode_solutions, make_convention
    from judgekit_eval.speed.judging_methods import Reader, VllmMethod, encode_chat, label_id

    ok, error = (label_id(tokenizer, text) for text in config.labels)
    reader = Reader(model, (ok, error), tokenizer.pad_token_id or 0, config.token_budget)
    layout = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=1)
    in_script, baseline = dtype == "float32", f"float32, {BASELINE}"

    def method(name: str, task: str, encoded_N: Sequence[Any], run: Callable[[Any], Any], **fields: Any) -> Method:
        n_tokens = sum(len(encoded.input_ids) for encoded in encoded_N)
        return Method(name, task, dtype, len(encoded_N), n_tokens, partial(run, encoded_N), **fields)

    rows = encode_solutions(tokenizer, solutions[: config.n_solutions], layout)
    yield method(BASELINE, "solutions", rows, reader.one_at_a_time, against=None if in_script else baseline)
    few = {"against": f"{dtype}, {BASELINE}", "target": 1.15}
    yield method("one at a time, step positions", "solutions", rows, reader.one_at_a_time_few_logits, **few)
    if in_script:
        padded = partial(reader.padded_batches, batch_size=config.group_size)
        yield method("padded batches in random order, all logits", "solutions", rows, padded, against=baseline)
    yield method(ENGINE, "solutions", rows, reader.engine, against=baseline, target=None if in_script else 2.2)
    if config.vllm:
        with tempfile.TemporaryDirectory() as folder:
            longest = max(len(encoded.input_ids) for encoded in rows)
            pooling = VllmMethod(reader, tokenizer, Path(folder), max_tokens=longest)
        yield method("vLLM's pooling runner", "solutions", rows, pooling.judge, against=f"{dtype}, {ENGINE}")
    if not in_script:  # sharing and conversations save the same work in any precision: once is enough
        return
    for name, n_tokens in (("short", 1), ("long", config.long_problem_tokens)):
        group = encode_solutions(tokenizer, make_group(solutions, tokenizer, config.group_size, n_tokens), layout)
        apart, shared = (f"group, {name} problem, {how}" for how in ("nothing shared", "problem shared"))
        yield method(apart, name, group, partial(reader.engine, share=False))
        saved = {"against": f"{dtype}, {apart}", "target": 0.9 * ideal_ratio(group)}
        yield method(shared, name, group, reader.engine, **saved)
    if config.chat:
        pairs = [encode_chat(tokenizer, item, label=config.labels[0]) for item in solutions[: config.n_solutions]]
        chats = [encoded for encoded, _ in pairs]
        calls = method(
            "conversations, one call a step", "chat", chats, partial(reader.one_call_a_step, n_behind=pairs[0][1])
        )
        yield calls
        yield method(f"conversations, {ENGINE}", "chat", chats, reader.engine, against=calls.key, target=3.5)


def make_group(solutions: Sequence[Solution], tokenizer: Any, size: int, n_tokens: int) -> list[Solution]:
    """Make responses to one problem: other solutions' steps, for their lengths, and as many problems as are needed.

    Args:
        solutions: At least `size`.
        tokenizer: Counts tokens.
        size: Responses.
        n_tokens: Least tokens of the problem.
    """
    problem = solutions[0].problem
    for other in itertools.cycle(solutions[1:]):
        if len(tokenizer(problem, add_special_tokens=False, verbose=False).input_ids) >= n_tokens:
            break
        problem += "\n\n" + other.problem
    return [Solution(problem=problem, steps=solution.steps) for solution in solutions[:size]]


def ideal_ratio(encoded_N: Sequence[Any]) -> float:
    """Return the ratio of tokens without and with one shared problem."""
    n_tokens = sum(len(encoded.input_ids) for encoded in encoded_N)
    return n_tokens / (n_tokens - (len(encoded_N) - 1) * encoded_N[0].n_problem_tokens)


@dataclass(frozen=True)
class Rounds:
    """What the rounds gave."""

    seconds_R: dict[str, list[float]]
    """Time of each method, by its key, in each round."""
    peak_flops: dict[str, float]
    """Fastest matrix multiplication seen, by precision, operations a second."""
    differences: dict[str, float]
    """Largest difference of a method's numbers from those of the first with its task, by its key."""


def measure(methods: Sequence[Method], *, rounds: int, device: Any, progress: bool = True) -> Rounds:
    """Run all methods in turn, round after round, each round from another one on; the peak is measured before each."""
    seconds_R: dict[str, list[float]] = {method.key: [] for method in methods}
    numbers: dict[str, list[np.ndarray]] = {}
    peaks: dict[str, float] = dict.fromkeys((method.dtype for method in methods), 0.0)
    with Progress("measuring", rounds * len(methods), disable=not progress) as shown:
        for start in range(rounds):
            # Each round begins with another method, so that none always runs first, on a cold processor.
            for method in [*methods[start % len(methods) :], *methods[: start % len(methods)]]:
                peaks[method.dtype] = max(peaks[method.dtype], measure_peak(method.dtype, device))
                seconds, numbers[method.key] = timed(method.run, device)
                seconds_R[method.key].append(seconds)
                shown.advance(note=method.key)
    return Rounds(seconds_R, peaks, largest_differences(methods, numbers))


def timed(run: Callable[[], Any], device: Any) -> tuple[float, Any]:
    """Return the time a call takes and what it returns: CPU time of the process, or wall time on a GPU."""
    if device.type == "cpu":  # processor time does not count what other work on the machine takes
        start = time.process_time()
        result = run()
        return time.process_time() - start, result
    import torch

    # A GPU works after the call has returned: wait for it on both sides.
    torch.cuda.synchronize(device)
    begin = time.perf_counter()
    result = run()
    torch.cuda.synchronize(device)
    return time.perf_counter() - begin, result


def measure_peak(dtype: str, device: Any) -> float:
    """Return the rate of a large matrix multiplication as linear layers do it, operations a second."""
    import torch

    left, right = (torch.ones(PEAK_SIZE, PEAK_SIZE, dtype=getattr(torch, dtype), device=device) for _ in range(2))
    return max(2 * PEAK_SIZE**3 / timed(lambda: torch.nn.functional.linear(left, right), device)[0] for _ in range(3))


def largest_differences(methods: Sequence[Method], numbers: Mapping[str, Sequence[np.ndarray]]) -> dict[str, float]:
    """Return the largest difference of each method's numbers from those of the first with its task."""
    first: dict[str, str] = {}
    found = {}
    for method in methods:
        pairs = zip(numbers[method.key], numbers[first.setdefault(method.task, method.key)], strict=True)
        found[method.key] = max(float(np.abs(one - other).max()) for one, other in pairs)
    return found


def summarise(method: Method, rounds: Rounds, *, n_body: int) -> MethodSpeed:
    """Return how fast a method was.

    `of_peak` counts 2 operations a token and parameter of the layers, embeddings left out, so a method that also
    computes the logits of the whole vocabulary does more than it is given credit for. `ratio` is the median over the
    rounds of the other method's time over this one's, with the least and the greatest.
    """
    times_R = rounds.seconds_R[method.key]
    seconds = statistics.median(times_R)
    compared = {}
    if method.against is not None:
        ratios_R = [slow / fast for slow, fast in zip(rounds.seconds_R[method.against], times_R, strict=True)]
        compared["ratio"] = Ratio(median=statistics.median(ratios_R), least=min(ratios_R), greatest=max(ratios_R))
    return MethodSpeed(
        name=method.name,
        task=method.task,
        dtype=method.dtype,
        n_solutions=method.n_solutions,
        n_tokens=method.n_tokens,
        seconds_per_solution=seconds / method.n_solutions,
        tokens_per_s=method.n_tokens / seconds,
        of_peak=2 * n_body * method.n_tokens / seconds / rounds.peak_flops[method.dtype],
        largest_difference=rounds.differences[method.key],
        against=method.against,
        target=method.target,
        **compared,
    )


def describe_machine(device: Any) -> Machine:
    """Return kind of processor, number of cores and threads used, and the release of torch."""
    import torch

    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.is_file() else []
    name = names[0].partition(":")[2].strip() if names else platform.processor()
    return Machine(
        kind=name if device.type == "cpu" else torch.cuda.get_device_name(device),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
    )
