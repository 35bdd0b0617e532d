#!/usr/bin/env bash
# Installs the peers from their registries, times them and Kinglet in turn, and writes ../results/peers-NAME.md.
#
#   benches/peers/run.sh [NAME]     NAME of the CPU in the file's name
#
# Needs cargo, python3 with venv, and for one peer Debian's libeigen3-dev, g++ and clang. PYTHON is a Python that has PyTorch and NumPy;
# without it they are installed.
# ROUNDS=10 is quick and rough. TABLE=avx2 races what a CPU with AVX2 and FMA runs, on any newer one: Kinglet and Eigen are built for x86-64-v3 and Kinglet takes
# that table; ONNX Runtime, ncnn and PyTorch choose their instructions themselves, so they are left out, and tract, candle, burn and embedded-nn with them. A peer that does not build or install is named in the results, with the error.
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
# What the compilers may use: all that the CPU has, or what one of Kinglet's tables needs.
case "${TABLE:-}" in
  "") cpu=native ;;
  avx2) cpu=x86-64-v3 settings="TABLE=$TABLE $settings" ;;
  *) echo "TABLE=$TABLE: expected avx2, or nothing for all that the CPU has" >&2; exit 2 ;;
esac
export RUSTFLAGS="-C target-cpu=$cpu"
command=$(written benches/peers/run.sh "$@")
name=$(cpu_name "$@")
# One thread each.
export RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

missing=
rm -f "$target"/release/peer-*
if [ "$cpu" = native ]; then
  venv_with onnx onnxruntime numpy ncnn
  python_with_torch numpy 2>"$target/torch.log" || missing+="PyTorch: $(tail -1 "$target/torch.log")"$'\n'
  ORT_DYLIB_PATH=$(echo "$venv"/lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so.*)
  export ORT_DYLIB_PATH

  peers="onnxruntime tract candle burn embedded-nn"
  # All at once, because cargo builds shared dependencies anew for another choice of packages.
  cargo build --release --locked --keep-going --workspace 2> >(tee "$target/build.log" >&2) || true
  for peer in $peers; do
    [ -x "$target/release/peer-$peer" ] ||
      missing+="$peer: $(grep -m1 -B20 "could not compile .peer-$peer" "$target/build.log" | grep -m1 '^error')"$'\n'
  done
else
  venv_with
  cargo build --release --locked -p peer-kinglet
fi
# The equations on Eigen, by both compilers.
for compiler in g++ clang++; do
  rm -f "$target/release/peer-eigen$compiler"
  "$compiler" -std=c++17 -O3 "-march=$cpu" -ffast-math -I/usr/include/eigen3 eigen/main.cpp -o "$target/release/peer-eigen$compiler" \
    2>"$target/eigen.log" || missing+="Eigen by $compiler: $(grep -m1 error "$target/eigen.log" || tail -1 "$target/eigen.log")"$'\n'
done

"$venv/bin/python" compare.py --bin "$target/release" --layers "$target/layers" --cpu "$cpu" --torch-python "${PYTHON:-}" \
  --rounds "${ROUNDS:-150}" --missing "$missing" --command "$command" --out "../results/peers-$name.md"
