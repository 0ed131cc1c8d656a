"""Measures curation beside its peers, on rows made from GSM8K: `python -m benchmarks.curation_speed`.

The set is made so that the truth is known. Unique rows join half of one problem to half of another, with both
solutions; near-duplicates change a word in about forty of an earlier unique row; contaminated rows carry a problem of
the benchmark, every second one with a word changed. The peers remove near-duplicates from the first rows in this
process, each with the same shingles: a loop in plain Python, `datasketch` and `rensa`, where they are installed. Then
`judgekit curate` runs on all rows. CPU seconds, because only they carry over between machines with company.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from judgekit.io import MANIFEST, SHARD_DIR, atomic_path, parquet_schema, write_json
from judgekit.reading.rows import read_jsonl
from judgekit.types import LabelledSolution
from judgekit_datasets.curation.batches import join_sketches
from judgekit_datasets.curation.config import ContaminationConfig, CurationConfig, DuplicatesConfig
from judgekit_datasets.curation.curate import REMOVED, curate
from judgekit_datasets.curation.decontamination import BenchmarkIndex, row_words
from judgekit_datasets.curation.near_duplicates import SketchFiles, find_duplicates, sketch
from judgekit_datasets.curation.text_hashes import hash_words

THRESHOLD = 0.8
"""Jaccard similarity from which on rows count as near-duplicates."""
_ROWS_PER_SHARD = 50_000
_NEAR, _CONTAMINATED = 0.3, 0.01
_WORD = re.compile(r"\w+")


def make_rows(train: Path, benchmark: Path, *, n_rows: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield rows of `LabelledSolution`; `subset` tells `unique`, `near` or `contaminated`, the truth."""
    rng = random.Random(seed)
    problems = [_parts(row) for _, row in read_jsonl(train) if isinstance(row, dict)]
    held_out = [str(row["question"]) for _, row in read_jsonl(benchmark) if isinstance(row, dict)]
    unique: list[tuple[str, list[str]]] = []
    seen: set[tuple[int, int]] = set()
    for number in range(n_rows):
        draw = rng.random()
        if draw < _NEAR and unique:
            subset, (problem, steps) = "near", rng.choice(unique)
            problem = _edited_text(problem, rng)
            steps = [_edited_text(step, rng) if rng.random() < 0.1 else step for step in steps]
        else:
            while (pair := (rng.randrange(len(problems)), rng.randrange(len(problems)))) in seen:
                pass
            seen.add(pair)
            (first, steps_1), (second, steps_2) = problems[pair[0]], problems[pair[1]]
            half = first[: (len(first) + 1) // 2] + second[len(second) // 2 :]
            subset, problem, steps = "unique", " ".join(half), [*steps_1, *steps_2]
            if draw > 1 - _CONTAMINATED:
                subset, problem = "contaminated", rng.choice(held_out)
                problem = _edited_text(problem, rng) if number % 2 else problem
            elif len(unique) < 50_000:
                unique.append((problem, steps))
            else:
                unique[rng.randrange(len(unique))] = problem, steps
        yield {
            "id": f"{number:020x}", "problem_id": f"p{number:019x}", "problem": problem, "steps": steps,
            "labels": ["ok"] * len(steps), "source": "speed", "subset": subset, "schema_version": 1,
        }  # fmt: skip


def _parts(row: dict[str, Any]) -> tuple[list[str], list[str]]:
    steps = [step for step in row["answer"].split("\n")[:-1] if step.strip()]
    return row["question"].split(". "), steps or ["No steps."]


def _edited_text(text: str, rng: random.Random) -> str:
    """Change, drop or double about one word in forty, never a number, an operator or a numeral."""
    words = text.split(" ")
    plain = [i for i, word in enumerate(words) if _is_plain(word)]
    for place in rng.sample(plain, min(len(plain), max(1, len(words) // 40))):
        words[place] = rng.choice(["also", "", f"{words[place]} {words[place]}"])
    return " ".join(words)


@functools.cache
def _is_plain(word: str) -> bool:
    return word.isalpha() and not hash_words([word]).exact_W.any()


def write_rows(folder: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write the rows as a data set folder."""
    shards: list[str] = []
    n_rows, waiting = 0, []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _ROWS_PER_SHARD:
            shards.append(_write_shard(folder, len(shards), waiting))
            n_rows, waiting = n_rows + len(waiting), []
    if waiting:
        shards.append(_write_shard(folder, len(shards), waiting))
    n_rows += len(waiting)
    write_json(folder / MANIFEST, {"record": "LabelledSolution", "n_rows": n_rows, "shards": dict.fromkeys(shards)})


def _write_shard(folder: Path, number: int, rows: Sequence[dict[str, Any]]) -> str:
    name = f"{SHARD_DIR}/part-{number:05d}.parquet"
    with atomic_path(folder / name) as partial:
        pl.DataFrame(rows, schema=parquet_schema(LabelledSolution)).write_parquet(partial)
    return name


Flags = Sequence[bool]
"""For each row, whether it is removed."""


def remove_ours(texts: Sequence[str]) -> Flags:
    """Run this package's near-duplicate removal."""
    config = DuplicatesConfig(near=THRESHOLD)
    with TemporaryDirectory() as folder:
        files = SketchFiles(Path(folder))
        lots = [pl.Series(texts[start : start + 2000]) for start in range(0, len(texts), 2000)]
        files.write(0, join_sketches([sketch(hash_words(lot), config) for lot in lots]))
        usable = np.ones(len(texts), np.bool_)
        found = find_duplicates(files, n_parts=1, usable_B=usable, threshold=THRESHOLD)
    flags = np.zeros(len(texts), np.bool_)
    flags[found.removed] = True
    return flags.tolist()


def remove_in_python(texts: Sequence[str]) -> Flags:
    """Run MinHash-LSH as a loop: 10 bands of 4 hashes, candidates verified by their true similarity."""
    rng = random.Random(0)
    prime = (1 << 61) - 1
    factors = [(rng.randrange(1, prime), rng.randrange(prime)) for _ in range(40)]
    tables: list[dict[tuple[int, ...], int]] = [{} for _ in range(10)]
    sets: list[set[int]] = []
    flags = []
    for number, text in enumerate(texts):
        shingles = {hash(shingle) & 0xFFFFFFFF for shingle in _shingles(text)}
        sets.append(shingles)
        minima = [min((a * x + b) % prime for x in shingles) for a, b in factors]
        keys = [tuple(minima[4 * band : 4 * band + 4]) for band in range(10)]
        earlier = {table[key] for table, key in zip(tables, keys, strict=True) if key in table}
        flags.append(any(len(sets[o] & shingles) >= THRESHOLD * len(sets[o] | shingles) for o in earlier))
        if not flags[-1]:
            for table, key in zip(tables, keys, strict=True):
                table.setdefault(key, number)
    return flags


def remove_with_datasketch(texts: Sequence[str]) -> Flags:
    """Run datasketch's MinHashLSH with its own choice of bands for 128 permutations."""
    from datasketch import MinHash, MinHashLSH

    lsh, flags = MinHashLSH(threshold=THRESHOLD, num_perm=128), []
    for number, text in enumerate(texts):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([shingle.encode() for shingle in _shingles(text)])
        flags.append(bool(lsh.query(sketch)))
        if not flags[-1]:
            lsh.insert(str(number), sketch, check_duplication=False)
    return flags


def remove_with_rensa(texts: Sequence[str]) -> Flags:
    """Run rensa's deduplicator with LSH."""
    from rensa import RMinHash, RMinHashDeduplicator

    dedup = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True, num_bands=16, seed=42)
    flags = []
    for number, text in enumerate(texts):
        sketch = RMinHash(num_perm=128, seed=42)
        sketch.update(list(_shingles(text)))
        flags.append(not dedup.add(str(number), sketch))
    return flags


def _shingles(text: str) -> set[str]:
    words = _WORD.findall(text.lower())
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def measure_peers(texts: Sequence[str], subsets: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows a CPU second, share of near-duplicates found and share of unique rows removed, by method."""
    methods: dict[str, Callable[[Sequence[str]], Flags]] = {"judgekit": remove_ours, "plain Python": remove_in_python}
    methods |= {"datasketch": remove_with_datasketch, "rensa": remove_with_rensa}
    for name in ("datasketch", "rensa"):
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed, so it is left out: pip install {name}", file=sys.stderr)
            del methods[name]
    results: list[dict[str, Any]] = []
    for name, method in methods.items():
        start = time.process_time()
        flags = method(texts)
        seconds = time.process_time() - start
        results.append({"method": name, "rows_per_s": len(texts) / seconds, **_quality(flags, subsets)})
    for result in results:
        result["ratio"] = results[0]["rows_per_s"] / result["rows_per_s"]
    return results


def _quality(flags: Flags, subsets: Sequence[str]) -> dict[str, float]:
    pairs = list(zip(flags, subsets, strict=True))
    near, unique = ([flag for flag, subset in pairs if subset == wanted] for wanted in ("near", "unique"))
    return {"found": sum(near) / len(near), "wrongly_removed": sum(unique) / len(unique)}


def decontaminate_in_python(problems: Sequence[str], benchmark: Sequence[str]) -> list[bool]:
    """Look up 13-grams of words in a set, as a loop."""

    def grams(text: str) -> set[str]:
        words = _WORD.findall(text.lower())
        return {" ".join(words[i : i + 13]) for i in range(max(1, len(words) - 12))}

    known = set().union(*map(grams, benchmark))
    return [not known.isdisjoint(grams(problem)) for problem in problems]


def measure_decontamination(problems: Sequence[str], subsets: Sequence[str], benchmark: Path) -> list[dict[str, Any]]:
    """Return rows a CPU second and the share of contaminated rows found, of this package and of a loop."""
    texts = [str(row["question"]) for _, row in read_jsonl(benchmark) if isinstance(row, dict)]
    index = BenchmarkIndex(ContaminationConfig(benchmarks={"benchmark": benchmark}))
    empty = pl.Series([""] * 2000)

    def ours(given: Sequence[str]) -> list[bool]:
        flags = np.zeros(len(given), np.bool_)
        for start in range(0, len(given), 2000):
            lot = pl.Series(given[start : start + 2000])
            flags[start + index.find(row_words(lot, empty[: len(lot)]), lot)["row"].to_numpy()] = True
        return flags.tolist()

    results: list[dict[str, Any]] = []
    methods = {"judgekit": ours, "plain Python": lambda given: decontaminate_in_python(given, texts)}
    for name, method in methods.items():
        start_s = time.process_time()
        flags = method(problems)
        rate = len(problems) / (time.process_time() - start_s)
        hits = [flag for flag, subset in zip(flags, subsets, strict=True) if subset == "contaminated"]
        results.append({"method": name, "rows_per_s": rate, "found": sum(hits) / len(hits)})
    for result in results:
        result["ratio"] = results[0]["rows_per_s"] / result["rows_per_s"]
    return results


class MemoryWatch:
    """Follows the resident memory of this process and its children; use as a context manager."""

    def __enter__(self) -> MemoryWatch:
        self.peak_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            # The memory of this process and its children that is in use by them alone or shared fairly, in MB.
            own = os.getpid()
            total = 0
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                    if own in (int(folder.name), parent):
                        pss = re.search(r"^Pss:\s+(\d+)", (folder / "smaps_rollup").read_text(), re.MULTILINE)
                        total += int(pss[1]) if pss else 0
                except OSError:  # it ended in the meantime
                    continue
            self.peak_mb = max(self.peak_mb, total / 1024)


def measure_curate(data: Path, benchmark: Path, output: Path, *, workers: int | None) -> dict[str, Any]:
    """Return wall and CPU seconds, rows a second and peak memory of a whole `curate`, and what it found."""
    config = CurationConfig(
        data=(data,), contamination=ContaminationConfig(benchmarks={"benchmark": benchmark}), workers=workers
    )
    start, start_cpu = time.perf_counter(), sum(os.times()[:4])
    with MemoryWatch() as memory:
        report = curate(config, output)
    seconds, cpu = time.perf_counter() - start, sum(os.times()[:4]) - start_cpu
    truth = pl.scan_parquet(output / REMOVED / "*.parquet").group_by("subset", "stage").len().collect()
    total = pl.scan_parquet(data / SHARD_DIR / "*.parquet").group_by("subset").len().collect()
    n_of = dict(total.iter_rows())
    counts = {(subset, stage): n for subset, stage, n in truth.iter_rows()}
    removed = {subset: sum(n for (of, _), n in counts.items() if of == subset) for subset in n_of}
    as_duplicates = counts.get(("unique", "near-duplicates"), 0) + counts.get(("unique", "exact duplicates"), 0)
    return {
        "rows": report.rows_read,
        "wall_s": seconds,
        "cpu_s": cpu,
        "rows_per_cpu_s": report.rows_read / cpu,
        "peak_mb": memory.peak_mb,
        "near_found": removed["near"] / n_of["near"],
        "contaminated_found": counts.get(("contaminated", "contamination"), 0) / n_of["contaminated"],
        "unique_removed_as_duplicates": as_duplicates / n_of["unique"],
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Make the rows, measure, and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="train.jsonl of GSM8K")
    parser.add_argument("--benchmark", type=Path, required=True, help="test.jsonl of GSM8K")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to curate")
    parser.add_argument(
        "--peer-rows",
        type=int,
        default=20_000,
        help="rows for the peers that find duplicates; decontamination takes five times as many",
    )
    parser.add_argument("--workers", type=int, help="processes of curate; default: one a core")
    args = parser.parse_args(argv)
    data = args.output / "data"
    if not (data / MANIFEST).is_file():
        write_rows(data, make_rows(args.train, args.benchmark, n_rows=args.rows))
    some = pl.scan_parquet(data / SHARD_DIR / "*.parquet").head(5 * args.peer_rows).collect()
    texts = (some["problem"] + "\n" + some["steps"].list.join("\n")).to_list()
    subsets = some["subset"].to_list()
    for result in measure_peers(texts[: args.peer_rows], subsets[: args.peer_rows]):
        print(json.dumps({"measure": "near-duplicates", **result}), flush=True)
    for result in measure_decontamination(some["problem"].to_list(), subsets, args.benchmark):
        print(json.dumps({"measure": "decontamination", **result}), flush=True)
    del some, texts
    number = len(list(args.output.glob("curated-*")))
    result = measure_curate(data, args.benchmark, args.output / f"curated-{number}", workers=args.workers)
    print(json.dumps({"measure": "curate", **result}), flush=True)


if __name__ == "__main__":
    main()
