#!/usr/bin/env bash
# What the engine takes in a user's firmware, for every core: text and rodata without the model, which must not exceed the
# limits below; `model-of-lstm` is a `Model` whose engine has LSTMs only, in w8a8. Networks that the compiler loads
# must link without a panic, whichever way they step (`doors`).
#
#   firmware-example/sizes/run.sh [TARGET...]
set -euo pipefail
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf thumbv8m.main-none-eabihf riscv32imc-unknown-none-elf
cargo=$(../../.ci/cargo-for "$@")
target=${CARGO_TARGET_DIR:-$PWD/../../target}
export SIZES_MODELS
failed=

limit() { # PROFILE NAME
  case $1-$2 in
    release-lstm) echo 9216 ;; small-lstm) echo 8192 ;;
    release-model) echo 76800 ;; small-model) echo 47616 ;;
    release-model-of-lstm) echo 53248 ;; small-model-of-lstm) echo 32000 ;;
    release-*) echo 11264 ;; small-*) echo 9216 ;;
  esac
}

for name in "$@"; do
  layout=portable
  case $name in
    thumbv6m-*) layout=cortex-m0 ;;
    thumbv7em-*) layout=cortex-m4 ;;
  esac
  SIZES_MODELS=$target/size-models/$layout
  mkdir -p "$SIZES_MODELS"
  (cd ../.. && cargo build -q --workspace --example size_models)
  "$target/debug/examples/size_models" $layout "$SIZES_MODELS"
  for profile in release small; do
    for image in lstm lstm-dense gru-dense rnn-dense doors model model-of-lstm; do
      binary=$image features=--features=panic-free
      case $image in
        model) features= ;;
        model-of-lstm) binary=model features=--no-default-features ;;
      esac
      # shellcheck disable=SC2086
      CARGO_TARGET_DIR=$target/sizes $cargo build -q --profile $profile --target "$name" --bin $binary $features || {
        failed=1
        echo "$name $profile $image: does not build, or a panic can be reached" >&2
        continue
      }
      [ $image != doors ] || continue
      model=$SIZES_MODELS/${image/#model*/lstm-dense}.kgl
      bytes=$(($(size "$target/sizes/$name/$profile/$binary" | awk 'NR == 2 { print $1 }') - $(stat -c %s "$model")))
      most=$(limit $profile $image)
      echo "$name $profile $image: $bytes bytes, at most $most"
      [ $bytes -le "$most" ] || failed=1
    done
  done
  # A cell that was left out is refused by name.
  if CARGO_TARGET_DIR=$target/sizes $cargo build -q --target "$name" --bin gru-dense --no-default-features 2>"$target/left-out.log" ||
    ! grep -q "need a feature of the crate kinglet" "$target/left-out.log"; then
    failed=1
    echo "$name: a GRU in an engine without GRUs is not refused" >&2
    cat "$target/left-out.log" >&2
  fi
done
[ -z "$failed" ] || { echo "run.sh: too large, or not without a panic" >&2; exit 1; }
