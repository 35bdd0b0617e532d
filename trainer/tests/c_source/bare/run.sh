#!/usr/bin/env bash
# Generated C on microcontrollers in QEMU: the digest must be the model file's. Then what code and tables take without weights,
# at most 4 KB for an LSTM with a dense layer, and the instructions of a step, compiled with -O2. What a model hears that listens must
# be the same on every board, with and without floats in hardware.
#
#   trainer/tests/c_source/bare/run.sh
set -euo pipefail
cd "$(dirname "$0")/../../../.."
here=$PWD/trainer/tests/c_source/bare
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kinglet=$(.ci/kinglet)

# MODEL BOARD: compiles, runs, prints a line.
run() {
  local name=$1 board=$2 upper compile machine size weights code answer step=
  local flash=0 ram=0x20000000 tick=40000
  upper=$(tr a-z A-Z <<<"$name")
  case $board in
    cortex-m0) compile="arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb" machine="arm -machine mps2-an385" ;;
    cortex-m4) compile="arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb" machine="arm -cpu cortex-m4 -machine mps2-an386" ;;
    cortex-m4f)
      compile="arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -DFPU"
      machine="arm -cpu cortex-m4 -machine mps2-an386"
      ;;
    cortex-m33)
      compile="arm-none-eabi-gcc -mcpu=cortex-m33+nofp -mthumb" machine="arm -machine mps2-an505"
      flash=0x10000000 ram=0x38000000 tick=50000
      ;;
    rv32imac)
      compile="riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -mcmodel=medany"
      machine="riscv32 -machine virt -bios none" flash=0x80000000 ram=0x80400000
      ;;
  esac
  if grep -q "${name}_step_q" "$work/$name/$name.h"; then step=(-DSTEP="${name}_step_q" -DIN="${upper}_INPUTS"); else step=(); fi
  if grep -q "${name}_hear" "$work/$name/$name.h"; then step+=(-DHEAR="${name}_hear" -DEAR="${name}_ear" -DINPUTS="${upper}_INPUTS"); fi
  # shellcheck disable=SC2086
  $compile -O2 -std=gnu99 -ffreestanding -fno-builtin -nostdlib -Wl,-T,"$here/memory.ld" \
    -Wl,--defsym=flash=$flash -Wl,--defsym=ram=$ram -Wl,--gc-sections -Wl,--no-warn-rwx-segments \
    -DNAME_H="\"$name.h\"" -DSELF_TEST="${name}_self_test" -DSTATE="${name}_state" -DDIGEST="${upper}_DIGEST" \
    -DOUT="${upper}_OUTPUTS" ${step[@]+"${step[@]}"} -DPS_PER_TICK=$tick \
    -I"$work/$name" -o "$work/image" "$here/board.c" "$work/$name/$name.c" -lgcc
  # shellcheck disable=SC2086
  answer=$(timeout 60 qemu-system-$machine -nographic -semihosting-config enable=on,target=native -icount shift=7 \
    -kernel "$work/image" </dev/null 2>&1) || { echo "run.sh: $name on $board: $answer" >&2; exit 1; }
  # shellcheck disable=SC2086
  $compile -Os -std=c99 -ffreestanding -D"${upper}_NO_SELF_TEST" -c -o "$work/object" "$work/$name/$name.c"
  size=$(size_of "$work/object" "${compile%%-gcc*}")
  weights=$(sed -n "s/.* \([0-9]*\) bytes of weights.*/\1/p" "$work/$name/$name.h")
  code=$((size - weights))
  echo "$name $board: $answer, $code bytes of code and tables, $weights of weights"
  case $name in
    pump | lstm_w8a16 | lstm_w4a8)
      [ "$code" -le 4096 ] || { echo "run.sh: $name on $board takes more than 4096 bytes" >&2; exit 1; }
      ;;
  esac
}

# What a model heard must be what it heard on the boards before.
heard=
hears() {
  local found
  found=$(run "$1" "$2") || exit 1
  echo "$found"
  found=$(sed -n 's/.* sound \([0-9a-f]*\) .*/\1/p' <<<"$found")
  [ -n "$found" ] && [ "$found" = "${heard:=$found}" ] || { echo "run.sh: $1 on $2 hears something else than $heard" >&2; exit 1; }
}

size_of() { "$2-size" "$1" | awk 'NR == 2 { print $1 + $2 }'; }

models=(firmware-example/model/pump.kgl)
for cell in lstm_w8a16 lstm_w4a8 lstm_peephole_w8a8 lstm_coupled_w8a8 gru_w8a8 gru_before_w4a8 rnn_relu_w8a8 fastgrnn_w8a8 \
  tokens_w8a8 bidirectional_w8a8 lstm_each mixed_f32 mixed_f16; do
  models+=("engine/tests/models/$cell.kgl")
done
for model in "${models[@]}"; do
  name=$(basename "$model" .kgl)
  "$kinglet" export "$model" --to c-source --out "$work/$name" --name "$name" >/dev/null 2>&1
  for board in cortex-m0 cortex-m4 cortex-m33 rv32imac; do run "$name" "$board"; done
done

"$kinglet" export docs/browser/keyword.kgl --to c-source --out "$work/keyword" --name keyword >/dev/null
for board in cortex-m0 cortex-m4 cortex-m4f cortex-m33 rv32imac; do hears keyword "$board"; done
