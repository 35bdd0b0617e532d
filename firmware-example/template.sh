#!/usr/bin/env bash
# The template of firmware as its users meet it: copied to where there is no workspace, pointed at the engine, and built for every chip.
#
#   firmware-example/template.sh [CHIP...]
set -euo pipefail
cd "$(dirname "$0")"
engine=$(realpath ../engine) target=${CARGO_TARGET_DIR:-$PWD/../target}
cmp model/pump.kgl template/model/pump.kgl
chips=(rp2040 rp2350 stm32f4 stm32h7 nrf52840 esp32c3)
[ $# -eq 0 ] || chips=("$@")
targets=(thumbv6m-none-eabi thumbv7em-none-eabihf thumbv8m.main-none-eabihf riscv32imc-unknown-none-elf)
read -ra cargo <<<"$(../.ci/cargo-for "${targets[@]}")"

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r template/. "$copy"
cd "$copy"
# Without the places of log lines, which nothing here reads.
export CARGO_TARGET_DIR=$target/template CARGO_PROFILE_RELEASE_DEBUG=false
sed -i "s|../../engine|$engine|" Cargo.toml
# In place of the debug probe: says which image it is to flash.
mkdir bin
printf '#!/bin/sh\n[ "$1 $2" = "run --chip" ] && echo "$4"\n' >bin/probe-rs
chmod +x bin/probe-rs
export PATH=$copy/bin:$PATH
for chip in "${chips[@]}"; do
  image=$("${cargo[@]}" -q "$chip")
  size -A "$image" | awk -v chip="$chip" '
    $1 ~ /^\.(boot2|vector_table|text|rwtext|rodata|data)/ { flash += $2 }
    END { print chip ": " flash " bytes of flash"; exit flash < 10000 }'
done
if "${cargo[@]}" build -q 2>"$copy/said"; then
  echo "template.sh: built for no chip" >&2
  exit 1
fi
grep -q 'take one chip' "$copy/said" || { cat "$copy/said" >&2; exit 1; }
