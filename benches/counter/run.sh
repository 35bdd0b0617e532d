#!/usr/bin/env bash
# In QEMU: the differential checker, then the instructions of whole steps, which must be those in benches/results.
#
#   benches/counter/run.sh [--bless] [BOARD...]      default: every board below; --bless writes what is measured
set -euo pipefail
cd "$(dirname "$0")/../.."
bless=()
if [ "${1:-}" = --bless ]; then bless=(--bless); shift; fi
[ $# -gt 0 ] || set -- cortex-m0 cortex-m3 cortex-m4 cortex-m55 riscv32imc
# The tables are of whole builds: an incremental one cuts the crates otherwise.
export CARGO_INCREMENTAL=0
folder=${CARGO_TARGET_DIR:-$PWD/target}
cargo build -q --workspace --example counter_models --example counts

for board in "$@"; do
  layout=portable tables=scalar flags=
  case $board in
    # There is no larger board with an M0: its instructions, executed by an M3.
    cortex-m0)
      target=thumbv6m-none-eabi machine="arm -machine mps2-an385"
      layout=cortex-m0 tables=scalar,armv6-m
      ;;
    cortex-m3) target=thumbv7m-none-eabi machine="arm -machine mps2-an385" tables=scalar,armv7-m ;;
    cortex-m4)
      target=thumbv7em-none-eabihf machine="arm -cpu cortex-m4 -machine mps2-an386"
      layout=cortex-m4 tables="scalar,cortex-m dsp"
      ;;
    cortex-m55)
      target=thumbv8m.main-none-eabihf machine="arm -machine mps3-an547" flags="-C target-cpu=cortex-m55"
      layout=cortex-m55 tables="scalar,cortex-m dsp,helium"
      ;;
    riscv32imc) target=riscv32imc-unknown-none-elf machine="riscv32 -machine virt -bios none" tables=scalar,rv32im ;;
    *) echo "run.sh: no board $board" >&2; exit 1 ;;
  esac
  echo "== $board"
  models=$folder/counter-models/$layout
  rm -rf "$models"
  mkdir -p "$models"
  "$folder/debug/examples/counter_models" $layout "$models"
  KINGLET_MODELS=$models RUSTFLAGS=$flags $(.ci/cargo-for "$target") build -q --release -p kinglet-counter --target "$target"
  # shellcheck disable=SC2086
  # A hung image must end; on a busy machine the slowest board needs many minutes.
  timeout 2400 qemu-system-$machine -nographic -semihosting-config enable=on,target=native -icount shift=7 \
    -kernel "$folder/$target/release/kinglet-counter" </dev/null |
    "$folder/debug/examples/counts" ${bless[@]+"${bless[@]}"} benches/results/$board.md "$tables"
done
