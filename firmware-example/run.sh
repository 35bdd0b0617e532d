#!/usr/bin/env bash
# Runs the firmware in QEMU for each target and compares its digest with the host's, for every table of the host.
#
#   firmware-example/run.sh [TARGET...]      default: every target of .cargo/config.toml
#
# Exit code 0 only if every target was built, ran, and gave the host's digest.
set -euo pipefail
cd "$(dirname "$0")"
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(sed -n 's/^\[target\.\(.*\)\]$/\1/p' .cargo/config.toml)
host=$(rustc -vV | sed -n 's/^host: //p')

simulated=$(cargo run -q --target "$host")
echo "$simulated"
digests=$(echo "$simulated" | sed -n 's/^digest *//p' | sort -u)
[ "$(echo "$digests" | wc -w)" = 1 ] || { echo "run.sh: the host's tables disagree" >&2; exit 1; }

cargo=$(../.ci/cargo-for "${targets[@]}")
$cargo build -q --release "${targets[@]/#/--target=}"
for target in "${targets[@]}"; do
  echo "== $target"
  # A crash before main would loop for ever.
  found=$(timeout 60 $cargo run -q --release --target "$target" </dev/null) || {
    code=$?
    echo "$found"
    echo "run.sh: $target: exit code $code" >&2
    exit 1
  }
  echo "$found" | grep -v '^step '
  digest=$(echo "$found" | sed -n 's/^digest *//p')
  [ "$digest" = "$digests" ] || { echo "run.sh: $target: digest $digest, the host has $digests" >&2; exit 1; }
done
