#!/usr/bin/env bash
# Checks the engine in WebAssembly, with and without SIMD: tables, models, and the digest that the host has.
#
#   engine/tests/wasm/run.sh      needs Node, and rustup target add wasm32-unknown-unknown
set -euo pipefail
cd "$(dirname "$0")/../../.."
target=wasm32-unknown-unknown
digests() { sed -n 's/^digest *//p' | sort -u; }

cargo=$(.ci/cargo-for $target)
digest=$(cargo run -q -p firmware-example | digests)
out=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

check() { # TABLES RUSTFLAGS
  RUSTFLAGS="$2" $cargo build -q --release -p wasm-tests --target $target
  found=$(node engine/tests/wasm/run.mjs "$out/$target/release/wasm_tests.wasm") || {
    echo "$found"
    exit 1
  }
  echo "$found"
  tables=$(echo "$found" | sed -n 's/^table *//p' | xargs)
  [ "$tables" = "$1" ] || { echo "run.sh: tables $tables instead of $1" >&2; exit 1; }
  [ "$(echo "$found" | digests)" = "$digest" ] || { echo "run.sh: the host has $digest" >&2; exit 1; }
}
check "scalar" ""
check "scalar wide" "-C target-feature=+simd128"
