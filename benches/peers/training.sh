#!/usr/bin/env bash
# Times training against PyTorch on the CPU, epoch by epoch in turn, and writes ../results/training-NAME.md.
#
#   benches/peers/training.sh [NAME]     NAME of the CPU in the file's name
#
# PYTHON is a Python that has PyTorch and NumPy; without it they are installed. EPOCHS=2 is quick and rough.
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
command=$(written benches/peers/training.sh "$@")
name=$(cpu_name "$@")
python_with_torch numpy

cargo build --release --locked -p peer-training
"$PYTHON" training.py --bin "$target/release" --torch-python "$PYTHON" --epochs "${EPOCHS:-5}" --command "$command" \
  --out "../results/training-$name.md"
