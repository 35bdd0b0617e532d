#!/usr/bin/env bash
# Makes spoken digits: sound files of strings of one to seven digits, and a table that says what is said in each, by which voice, and
# whether it is for training, validation or test. No voice of the test part is in another part.
#
#   trainer/tasks/speech/make.sh [FOLDER [SEED]]      trainer/tasks/data/speech and 1 without; some 30 s on two cores, 90 MB
#
# The voices are those of espeak-ng: its variants, which are speakers, with the accents of English; speed, pitch, pauses, loudness
# and noise are drawn from the seed, and sox adds them. The same programs give the same bytes.
set -euo pipefail
for tool in espeak-ng sox; do
  command -v $tool >/dev/null || missing="${missing:-} $tool"
done
if [ -n "${missing:-}" ]; then
  echo "make.sh: not installed:$missing; apt-get install espeak-ng sox, then again; nothing was written" >&2
  exit 1
fi
folder=${1:-$(dirname "$0")/../data/speech} seed=${2:-1}
mkdir -p "$folder"
cd "$folder"
if [ ! -e speech.csv ] && [ -n "$(ls)" ]; then
  echo "make.sh: $PWD holds something else; name another folder; nothing was written" >&2
  exit 1
fi
: >speech.csv
rm -rf wav noise
mkdir wav noise
for colour in white pink brown; do
  sox -V1 -R -D -n -r 8000 -b 16 noise/$colour.wav synth 60 ${colour}noise vol 0.9
done

# A line per file: file, transcript, voice, part, what is spoken, speed, pitch, seconds before and behind, loudness, noise, its loudness,
# its place.
awk -v seed="$seed" '
  # Lehmer 1951, Park and Miller 1988: the same numbers in every awk.
  function draw(n) { state = state * 16807 % 2147483647; return int(state / 2147483647 * n) }
  function any(of,   n, items) { n = split(of, items, " "); return items[1 + draw(n)] }
  function between(low, high) { return low + (high - low) * draw(10001) / 10000 }
  function files(part, count, speakers,   k, d, digits, said, spoken, loud) {
    for (k = 0; k < count; k++) {
      digits = 1 + draw(7); said = spoken = ""
      # Some count fast and some pause behind each digit.
      slow = draw(3) * draw(201)
      for (d = 1; d <= digits; d++) {
        name = any("zero one two three four five six seven eight nine")
        said = said (d > 1 ? " " : "") name
        spoken = spoken name (d == digits ? "" : slow ? "<break time=\"" draw(2 * slow) "ms\"/>" : " ")
      }
      loud = exp(between(log(0.1), log(0.9)))
      printf "wav/%s-%04d.wav|%s|%s+%s|%s|%s|%d|%d|%.2f|%.2f|%.3f|%s|%.4f|%.2f\n", part, k, said,
        any("en-us en-gb en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd en-gb-x-rp en-029 en-us-nyc"), any(speakers), part, spoken,
        between(120, 230), between(20, 80), between(0.1, 0.6), between(0.3, 0.6), loud, any("white pink brown"),
        loud * any("0.001 0.003 0.01 0.03 0.06"), between(0, 50)
    }
  }
  BEGIN {
    state = 1 + (seed * 48271) % 2147483646; for (k = 0; k < 10; k++) draw(1)
    files("train", 1600, "m1 m2 m4 m7 m8 f1 f3 f5")
    files("valid", 200, "m5 f4")
    files("test", 400, "m3 m6 f2")
  }' >plan

speak() { # A line of the plan
  IFS='|' read -r file _ voice _ spoken speed pitch before behind loud noise hiss place <<<"$1"
  espeak-ng -m -v "$voice" -s "$speed" -p "$pitch" --stdout "<speak>$spoken</speak>" |
    sox -V1 -R -D -t wav - -r 8000 -b 16 "$file.wav" gain -n -1 pad "$before" "$behind"
  sox -V1 -R -D -m -v "$loud" "$file.wav" -v "$hiss" "|sox -V1 noise/$noise.wav -p trim $place $(soxi -D "$file.wav")" "$file"
  rm "$file.wav"
}
export -f speak
xargs -d '\n' -P "$(nproc)" -I {} bash -euo pipefail -c 'speak "$1"' - {} <plan
{
  echo file,transcript,voice,part
  cut -d '|' -f 1-4 --output-delimiter , plan
} >speech.csv
rm -r noise plan
echo "$PWD/speech.csv: made; now: kinglet train trainer/tasks/speech.toml --out speech.kgl"
