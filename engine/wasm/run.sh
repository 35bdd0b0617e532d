#!/usr/bin/env bash
# Builds the npm package and the page of one file, and checks both: in Node, and in headless Chromium.
#
#   engine/wasm/run.sh build      makes target/npm and target/kinglet.html
#   engine/wasm/run.sh            checks them too; needs Node with npm, and Chromium
#
# Needs rustup target add wasm32-unknown-unknown, and wasm-opt (of binaryen).
set -euo pipefail
cd "$(dirname "$0")/../.."
target=wasm32-unknown-unknown
most=153600 # bytes
cargo=$(.ci/cargo-for $target)
out=$PWD/engine/wasm/target

# Every byte is loaded before the first step: little is inlined or unrolled, and a panic, which is a trap without words, does not say where.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-C target-feature=+simd128 -C llvm-args=-inline-threshold=5 -C llvm-args=-inlinehint-threshold=20 \
  -C llvm-args=-unroll-threshold=10 -Zlocation-detail=none -Zfmt-debug=none" \
  $cargo build -q --release --target $target --manifest-path engine/wasm/Cargo.toml --target-dir "$out"
rm -rf target/npm && mkdir -p target/npm
wasm-opt -Os --converge --flatten --rereloop -Os --const-hoisting -Os --enable-simd --enable-bulk-memory --enable-sign-ext --enable-mutable-globals --enable-nontrapping-float-to-int \
  "$out/$target/release/kinglet_wasm.wasm" -o target/npm/kinglet.wasm
bytes=$(wc -c <target/npm/kinglet.wasm)
[ "$bytes" -le $most ] || { echo "run.sh: kinglet.wasm has $bytes bytes, more than $most" >&2; exit 1; }
cp engine/wasm/npm/* LICENSE-* target/npm/
node engine/wasm/page.mjs target/npm/kinglet.wasm target/kinglet.html
echo "target/npm: kinglet.wasm has $bytes bytes; target/kinglet.html: the page"
[ "${1:-}" != build ] || exit 0

# What the desk has.
desk=target/npm-desk
rm -rf $desk && mkdir -p $desk
cp firmware-example/model/{pump.kgl,samples.csv} $desk
kinglet=$(.ci/kinglet)
for model in $desk/pump.kgl docs/browser/keyword.kgl engine/tests/models/*.kgl; do
  printf '%s\t%s\n' "$model" "$("$kinglet" verify "$model" | awk '$1 == "wide" { print $2 }')"
done >$desk/digests
"$kinglet" predict $desk/pump.kgl --csv $desk/samples.csv >$desk/predictions.csv
cp firmware-example/model/{wakes,beeps}.kgl $desk
node engine/wasm/tests/beep.mjs $desk/beep.wav
printf 'file\nbeep.wav\n' >$desk/beep.csv
"$kinglet" predict $desk/wakes.kgl --csv $desk/beep.csv >$desk/heard.csv
"$kinglet" predict $desk/beeps.kgl --wav $desk/beep.wav >$desk/said.csv
# Rows of two presses, in which -200 is a gap.
awk 'BEGIN { print "press,x,y"; for (k = 0; k < 400; k++) print k % 2 "," k % 7 "," (k + 2) % 7 }' >$desk/press.csv
cat >$desk/press.toml <<'END'
name = "press"
csv = { file = "press.csv", format = { missing = "hold", missing_values = ["-200", "off"] } }
series = { features = ["x"], targets = ["y"], group = "press" }
shape = { kind = "many-to-many", window = 8 }
network = { cell = "gru", hidden = [8] }
train = { epochs = 1 }
END
"$kinglet" train $desk/press.toml --out $desk/press.kgl >/dev/null

node engine/wasm/tests/module.mjs target/npm $desk
(cd target/npm && npm pack --dry-run --silent >/dev/null)
mkdir -p target/playwright && cd target/playwright
[ -d node_modules/playwright-core ] || npm install --silent --no-audit --no-fund playwright-core@1
node ../../engine/wasm/tests/page.mjs ../kinglet.html ../npm-desk "$(command -v chromium || command -v chromium-browser || command -v google-chrome)"
