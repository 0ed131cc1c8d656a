"""A GRPO script of TRL turned into SGPO: `GRPOTrainer` became `SGPOTrainer`, with a judge and the outcome's name.

python examples/grpo_to_sgpo.py --policy Qwen/Qwen2.5-1.5B-Instruct --judge runs/judge/judge --problems train.jsonl \
    --output_dir runs/sgpo --max_steps 200
"""

from dataclasses import dataclass

from datasets import load_dataset
from trl import GRPOConfig, TrlParser

from judgekit.answers import MathVerifyCheck
from sgpo import SGPOTrainer


@dataclass
class Options:
    """What this script takes beside the options of `GRPOConfig`."""

    policy: str
    judge: str  # a directory, a hub id, http://HOST:PORT of `judgekit serve`
    problems: str  # JSON lines with `problem` and `answer`


def main(argv: list[str] | None = None) -> None:
    """Train."""
    options, args = TrlParser((Options, GRPOConfig)).parse_args_and_config(argv)
    check = MathVerifyCheck()

    def correct(completions: list, answer: list, **_: object) -> list[float | None]:
        """1 for a right answer, 0 for a wrong one, None where nobody can tell."""
        return check.check_many(
            [(said[0]["content"], str(right)) for said, right in zip(completions, answer, strict=True)]
        )

    def brief(completion_ids: list, **_: object) -> list[float]:
        """A little for brevity."""
        return [max(0.0, 0.1 - 1e-4 * len(ids)) for ids in completion_ids]

    rows = load_dataset("json", data_files=options.problems, split="train")
    rows = rows.map(lambda row: {"prompt": [{"role": "user", "content": row["problem"]}]})
    rewards = {"reward_funcs": [brief, correct], "outcome": "correct"}
    trainer = SGPOTrainer(options.policy, args=args, train_dataset=rows, judge=options.judge, **rewards)
    trainer.train()
    trainer.save_model(args.output_dir)


if __name__ == "__main__":
    main()
