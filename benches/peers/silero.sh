#!/usr/bin/env bash
# Imports Silero VAD, quantizes it on speech of espeak-ng among noise of sox, and times a frame of it beside those who run it too.
# Writes ../results/silero-NAME.md.
#
#   benches/peers/silero.sh [NAME]     NAME of the CPU in the file's name
#
# Needs cargo, python3 with venv, espeak-ng and sox.
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
command=$(written benches/peers/silero.sh "$@")
name=$(cpu_name "$@")
venv_with onnxruntime numpy
folder=$target/silero
mkdir -p "$folder"
"$venv/bin/pip" download -q --no-deps --dest "$folder" faster-whisper==1.2.1
(cd "$folder" && "$venv/bin/python" -m zipfile -e faster_whisper-*.whl .)
network=$folder/faster_whisper/assets/silero_vad_v6.onnx
kinglet=$(unset CARGO_TARGET_DIR RUSTFLAGS; ../../.ci/kinglet)
"$venv/bin/python" -P ../../trainer/tests/importing/silero.py "$kinglet" "$network" "$folder/vad"
cargo build --release --locked -p peer-silero
ORT_DYLIB_PATH=$(echo "$venv"/lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so.*)
export ORT_DYLIB_PATH OMP_NUM_THREADS=1
{
  echo "# Silero VAD, a frame of 512 samples at 16 kHz"
  echo
  echo "\`$command\`, $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), one thread. rustvani-vad has the network of Silero's version 5, which has the same layers."
  echo
  "$target/release/peer-silero" "$network" "$folder"/vad/vad.kgl "$folder"/vad/vad-w8a16.kgl "$folder"/vad/vad-w8a8.kgl
} >"../results/silero-$name.md"
cat "../results/silero-$name.md"
