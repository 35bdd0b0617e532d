#!/usr/bin/env bash
# Counts the instructions of whole steps on a Cortex-M4 (or the target given) in QEMU, after the differential checker.
#
#   benches/cortex-m/run.sh [TARGET]
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1:-thumbv7em-none-eabihf}
case $target in
  thumbv6m-none-eabi | thumbv7m-none-eabi) board=(-machine mps2-an385) ;;
  thumbv7em-none-eabihf) board=(-cpu cortex-m4 -machine mps2-an386) ;;
  thumbv8m.main-none-eabihf) board=(-machine mps2-an505) ;;
  *) echo "run.sh: no board for $target" >&2; exit 1 ;;
esac
folder=${CARGO_TARGET_DIR:-$PWD/target}
rm -rf "$folder/cortex-m-models"
mkdir -p "$folder/cortex-m-models"
cargo run -q -p kinglet-benches --example cortex_m_models "$folder/cortex-m-models"
export KINGLET_MODELS=$folder/cortex-m-models
$(.ci/cargo-for "$target") build -q --release -p cortex-m-bench --target "$target"
timeout 600 qemu-system-arm "${board[@]}" -nographic -semihosting-config enable=on,target=native -icount shift=7 \
  -kernel "$folder/$target/release/cortex-m-bench" </dev/null
