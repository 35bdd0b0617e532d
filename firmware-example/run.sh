#!/usr/bin/env bash
# Runs the firmware in QEMU for each target and compares its digest with the host's, for every table of the host; and what a pair of
# networks tells there and another one draws with what they do on the host.
#
#   firmware-example/run.sh [TARGET...]      default: every target of .cargo/config.toml, cortex-m7, cortex-m33, cortex-m55
#
# The last three are targets compiled for that CPU (`-C target-cpu`): the M33 and the M55 get their kernels by it.
#
# Exit code 0 only if every target was built, ran, and gave the host's digest.
set -euo pipefail
cd "$(dirname "$0")"
targets=("$@")
if [ $# = 0 ]; then
  mapfile -t targets < <(sed -n 's/^\[target\.\(.*\)\]$/\1/p' .cargo/config.toml)
  targets+=(cortex-m7 cortex-m33 cortex-m55)
fi
triple() { # the target that a name is built for
  case $1 in
    cortex-m7) echo thumbv7em-none-eabihf ;;
    cortex-m33 | cortex-m55) echo thumbv8m.main-none-eabihf ;;
    *) echo "$1" ;;
  esac
}
machine() { # the board of QEMU that has this CPU
  case $1 in
    cortex-m7) echo mps2-an500 ;;
    cortex-m33) echo mps2-an505 ;;
    cortex-m55) echo mps3-an547 ;;
  esac
}
host=$(rustc -vV | sed -n 's/^host: //p')

simulated=$(cargo run -q --target "$host")
echo "$simulated"
digests=$(echo "$simulated" | sed -n 's/^digest *//p' | sort -u)
[ "$(echo "$digests" | wc -w)" = 1 ] || { echo "run.sh: the host's tables disagree" >&2; exit 1; }

told=$(cargo run -q --target "$host" --bin generates)
echo "$told"

mapfile -t triples < <(for name in "${targets[@]}"; do triple "$name"; done)
cargo=$(../.ci/cargo-for "${triples[@]}")
for name in "${targets[@]}"; do
  echo "== $name"
  target=$(triple "$name") setting=()
  if [ "$target" != "$name" ]; then
    variable=${target//[.-]/_}
    setting=(RUSTFLAGS="-C target-cpu=$name" CARGO_TARGET_"${variable^^}"_RUNNER="qemu-system-arm
      -machine $(machine "$name") -nographic -semihosting-config enable=on,target=native -icount shift=7 -kernel")
  fi
  env "${setting[@]}" $cargo build -q --release --target "$target"
  # A crash before main would loop for ever.
  found=$(timeout 60 env "${setting[@]}" $cargo run -q --release --target "$target" </dev/null) || {
    code=$?
    echo "$found"
    echo "run.sh: $name: exit code $code" >&2
    exit 1
  }
  echo "$found" | grep -v '^step '
  digest=$(echo "$found" | sed -n 's/^digest *//p')
  [ "$digest" = "$digests" ] || { echo "run.sh: $name: digest $digest, the host has $digests" >&2; exit 1; }
  found=$(timeout 60 env "${setting[@]}" $cargo run -q --release --target "$target" --bin generates </dev/null) || {
    echo "run.sh: $name: generates: $found" >&2
    exit 1
  }
  diff <(echo "$told") <(echo "$found") || { echo "run.sh: $name: tells or draws otherwise than the host" >&2; exit 1; }
  echo "told and drawn as on the host: ${found##*digest  }"
done

# A second of sound: the firmware itself compares with the host's digest.
for name in thumbv7em-none-eabihf thumbv6m-none-eabi; do
  [[ " ${targets[*]} " = *" $name "* ]] || continue
  echo "== listens, $name"
  $cargo build -q --release --target $name --features listens --bin listens
  timeout 60 $cargo run -q --release --target $name --features listens --bin listens </dev/null ||
    { echo "run.sh: listens: another digest than the host's" >&2; exit 1; }
  timeout 60 $cargo run -q --release --target $name --features waits --bin waits </dev/null ||
    { echo "run.sh: waits: another digest than the host's" >&2; exit 1; }
done

# The smallest firmware links only without a panic; what it has more than without the engine is the engine's.
m4=thumbv7em-none-eabihf
if [[ " ${targets[*]} " = *" $m4 "* ]]; then
  echo "== smallest, $m4"
  image=${CARGO_TARGET_DIR:-../target}/$m4/release/smallest
  smallest() { $cargo "$1" -q --release --target $m4 --features smallest --bin smallest; }
  text() { size "$image" | awk 'NR == 2 { print $1 }'; }
  export WITHOUT_ENGINE=1
  smallest build
  without=$(text)
  unset WITHOUT_ENGINE
  smallest build
  timeout 60 qemu-system-arm -cpu cortex-m4 -machine mps2-an386 -nographic \
    -semihosting-config enable=on,target=native -kernel "$image" </dev/null ||
    { echo "run.sh: smallest: another digest than the host's" >&2; exit 1; }
  engine=$(($(text) - without - $(stat -c %s model/pump-cortex-m4.kgl)))
  echo "engine  $engine bytes of text and rodata"
  [ $engine -le 8192 ] || { echo "run.sh: smallest: the engine takes more than 8192 bytes" >&2; exit 1; }
fi
