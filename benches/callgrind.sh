#!/usr/bin/env bash
# Counts the instructions of whole steps on this CPU with valgrind, and writes results/TABLE-callgrind.md.
#
#   benches/callgrind.sh [TABLE]     avx2 by default; valgrind 3 knows no AVX-512 and no AVX-VNNI
set -euo pipefail
cd "$(dirname "$0")/.."
table=${1:-avx2}
target=${CARGO_TARGET_DIR:-target}
models=$target/callgrind
mkdir -p "$models"
cargo build --release -p kinglet-benches --example callgrind
program=$target/release/examples/callgrind
"$program" "$models"
{
  echo "# \`$table\` on x86-64, executed instructions of a step"
  echo
  echo "\`benches/callgrind.sh $table\`: $(valgrind --version), the whole of \`step_q\`, mean of 100 steps, release build of the workspace,"
  echo "$(rustc -V | cut -d' ' -f1,2). A vector instruction counts as one."
  echo
  echo "| cell | format | layout | inputs, hidden | instructions | per MAC |"
  echo "|---|---|---|---|---|---|"
  for model in "$models"/*.kgl; do
    IFS=- read -r cell format _ shape <<<"$(basename "$model" .kgl)"
    output=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
      --toggle-collect=counted_steps "$program" "$model" "$table" 2>&1)
    awk -v row="| $cell | $format | portable | ${shape/x/, } |" '
      /^[0-9]+$/ { macs = $1 }
      /Collected :/ { count = $NF / 100 }
      END { printf "%s %d | %.3f |\n", row, count, count / macs }' <<<"$output"
  done
} | tee "benches/results/$table-callgrind.md"
