#!/usr/bin/env bash
# On a machine with one GPU and vLLM: 50 online updates of SGPO and 50 of GRPO in turn, with adapters and rollouts by vLLM,
# on a model of at least 135M; prints seconds a step and the ratio, and writes them to OUT/overhead.json.
#   MODEL=HuggingFaceTB/SmolLM2-135M-Instruct OUT=runs/gpu UPDATES=50 bash benchmarks/gpu_updates.sh [--dry-run]
set -euo pipefail
cd "$(dirname "$0")/.."
MODEL=${MODEL:-HuggingFaceTB/SmolLM2-135M-Instruct} OUT=${OUT:-runs/gpu} UPDATES=${UPDATES:-50} PYTHON=${PYTHON:-python}
CONFIG=configs/sgpo/online_vllm_lora.yaml
changes=("policy=$MODEL" "problems=$OUT/problems" "judge=$OUT/judge/judge")
$PYTHON -m judgekit.cli build procedural-problems configs/quickstart/problems.yaml --output "$OUT/problems" --resume n=1600
$PYTHON -m judgekit.cli build procedural configs/quickstart/judge_data.yaml --output "$OUT/solutions" --resume n=200
$PYTHON -m judgekit.cli fit configs/quickstart/judge.yaml --output "$OUT/judge" --resume "model=$MODEL" "data=[$OUT/solutions]"
if [ "${1:-}" = --dry-run ]; then
  exec $PYTHON -m sgpo.cli online "$CONFIG" "${changes[@]}" "max_steps=$UPDATES" --output "$OUT/run" --dry-run
fi
$PYTHON -m benchmarks.sgpo_overhead --config "$CONFIG" --updates "$UPDATES" --output "$OUT" "${changes[@]}"
