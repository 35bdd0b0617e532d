#!/usr/bin/env bash
# The C library as its users meet it: kinglet.h up to date, the claims of tests/abi.h with warnings as errors by gcc and clang as C99 and
# C++17, under valgrind, and on microcontrollers in QEMU, where the digest is the host's and no message of a panic is linked.
#
#   engine/c/tests/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
bare=$here/../../trainer/tests/c_source/bare
target=${CARGO_TARGET_DIR:-$here/../../target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

kinglet=$(../../.ci/kinglet)
export CARGO_TARGET_DIR=$target/c
cargo fmt --check
cargo clippy -q --all-targets -- -D warnings
cargo test -q
# The libraries that the command builds from the sources in the folder.
boards=(
  "cortex-m0 thumbv6m-none-eabi" "cortex-m4 thumbv7em-none-eabihf" "cortex-m33 thumbv8m.main-none-eabihf"
  "rv32imac riscv32imac-unknown-none-elf"
)
targets=("${boards[@]#* }")
export_c() { # OPTIONS...: of the LSTM
  "$kinglet" export ../tests/models/lstm_w8a8.kgl --to c --name lstm --out "$work/lstm" "$@"
}
export_c --target host
case $("$here/../../.ci/cargo-for" "${targets[@]}") in
  *+*) RUSTUP_TOOLCHAIN=cross export_c "${targets[@]/#/--target=}" ;;
  *) export_c "${targets[@]/#/--target=}" ;;
esac
for pair in lstm:lstm_w8a8 tokens:tokens_w8a8 bidirectional:bidirectional_w8a8 sentence:sentence_w8a8 pooled:pooled_w8a8 window:window_f32 encoder:encoder_w8a16 decoder:decoder_w8a16 keyword:../../../docs/browser/keyword; do
  "$kinglet" export "../tests/models/${pair#*:}.kgl" --to c --name "${pair%:*}" --out "$work/${pair%:*}" >/dev/null
  cp "$work/${pair%:*}/${pair%:*}_model.h" "$work"
done
digest=$(sed -n 's/#define LSTM_DIGEST 0x\(.*\)u/digest \1/p' "$work/lstm_model.h")

library=$work/lstm/lib/host/libkinglet_c.a
strict="-Wall -Wextra -Wpedantic -Wconversion -Werror"
build() { # COMPILER AND OPTIONS... : $work/host
  # shellcheck disable=SC2086
  "$@" $strict -O1 -g -I"$work" -o "$work/host" tests/host.c -x none "$library" -lpthread -ldl -lm
}
for compiler in "gcc -std=c99" "gcc -std=c11" "clang -std=c99" "g++ -x c++ -std=c++17" "clang++ -x c++ -std=c++17"; do
  # shellcheck disable=SC2086
  build $compiler
  [ "$("$work/host")" = "$digest" ] || { "$work/host"; echo "run.sh: $compiler" >&2; exit 1; }
  echo "$compiler: $digest"
done
build gcc -std=c99
valgrind -q --error-exitcode=1 "$work/host"
for name in lstm tokens bidirectional sentence pooled window encoder decoder keyword; do # the folders that are exported, by the command in their README
  for compiler in "gcc -std=c99" "g++ -x c++ -std=c++17"; do
    # shellcheck disable=SC2086
    (cd "$work/$name" && $compiler $strict ./*.c -x none "$library" -lpthread -ldl -lm -o example && ./example >answer)
    grep -q '^digest' "$work/$name/answer"
  done
done

for pair in "${boards[@]}"; do
  board=${pair% *} library=$work/lstm/lib/${pair#* }/libkinglet_c.a flash=0 ram=0x20000000 tick=40000
  case $board in
    cortex-m0) compile="arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb" machine="arm -machine mps2-an385" ;;
    cortex-m4)
      compile="arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -DFPU"
      machine="arm -cpu cortex-m4 -machine mps2-an386"
      ;;
    cortex-m33)
      compile="arm-none-eabi-gcc -mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16 -DFPU"
      machine="arm -machine mps2-an505" flash=0x10000000 ram=0x38000000 tick=50000
      ;;
    rv32imac)
      compile="riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -mcmodel=medany"
      machine="riscv32 -machine virt -bios none" flash=0x80000000 ram=0x80400000
      ;;
  esac
  # shellcheck disable=SC2086
  $compile -O2 -std=gnu99 -ffreestanding -fno-builtin -nostdlib -Wall -Wextra -Werror -Wl,-T,"$bare/memory.ld" \
    -Wl,--defsym=flash=$flash -Wl,--defsym=ram=$ram -Wl,--gc-sections -Wl,--no-warn-rwx-segments -Wl,-z,noexecstack \
    -DNAME_H='"board.h"' -DSELF_TEST=abi_self_test -DSTATE=abi_state -DDIGEST=LSTM_DIGEST \
    -DIN=LSTM_INPUTS -DOUT=LSTM_OUTPUTS -DSTEP=abi_step -DPS_PER_TICK=$tick \
    -Itests -I"$work" -o "$work/image" "$bare/board.c" "$library" -lgcc
  # What the compiler keeps of panics, which are out of reach, is a few branches to an endless loop: no texts, no formatting.
  if readelf -sW "$work/image" | grep -q core3fmt || grep -aEq 'src/[a-z_/]+\.rs' "$work/image"; then
    echo "run.sh: $board: messages of panics are in the image" >&2
    exit 1
  fi
  # shellcheck disable=SC2086
  answer=$(timeout 60 qemu-system-$machine -nographic -semihosting-config enable=on,target=native -icount shift=7 \
    -kernel "$work/image" </dev/null 2>&1) || { echo "run.sh: $board: $answer" >&2; exit 1; }
  [ "${answer% instructions*}" = "$digest" ] || { echo "run.sh: $board: $answer" >&2; exit 1; }
  echo "$board: $answer"
done
