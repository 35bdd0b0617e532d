#!/usr/bin/env bash
# Makes speech: sound files, and a table that says what is said in each, by which voice, and whether it is for training, validation or
# test. No voice of the test part is in another part.
#
#   trainer/tasks/speech/make.sh [digits [FOLDER [SEED]]]   strings of one to seven digits: trainer/tasks/data/speech and 1 without; some
#                                                           30 s on two cores, 90 MB
#   trainer/tasks/speech/make.sh keyword [FOLDER [SEED]]    "kinglet" among other words and alone, four hours of other words (some of
#                                                           which sound alike, a third are none), and noise: trainer/tasks/data/keyword; 90 s, 260 MB
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
kind=${1:-digits} seed=${3:-1}
case $kind in
  digits) name=speech said=transcript ;;
  keyword) name=keyword said=word ;;
  *) echo "make.sh: $kind is neither digits nor keyword; nothing was written" >&2; exit 2 ;;
esac
folder=${2:-$(dirname "$0")/../data/$name}
mkdir -p "$folder"
cd "$folder"
if [ ! -e $name.csv ] && [ -n "$(ls)" ]; then
  echo "make.sh: $PWD holds something else; name another folder; nothing was written" >&2
  exit 1
fi
: >$name.csv
rm -rf wav noise
mkdir wav noise
for colour in white pink brown; do
  sox -V1 -R -D -n -r 8000 -b 16 noise/$colour.wav synth 120 ${colour}noise vol 0.9
done

# A line per file: file, what is said, voice, part, what is spoken, speed, pitch, two of its kind, loudness, noise, its loudness, its
# place. The two are, of digits, seconds before and behind; of the word, what else is spoken around it, if anything, and where in that.
awk -v seed="$seed" -v kind="$kind" '
  # Lehmer 1951, Park and Miller 1988: the same numbers in every awk.
  function draw(n) { state = state * 16807 % 2147483647; return int(state / 2147483647 * n) }
  function any(of,   n, items) { n = split(of, items, " "); return items[1 + draw(n)] }
  function between(low, high) { return low + (high - low) * draw(10001) / 10000 }
  function line(file, said, part, speakers, spoken, around, at,   loud) {
    loud = exp(between(log(0.1), log(0.9)))
    printf "wav/%s.wav|%s|%s+%s|%s|%s|%d|%d|%s|%.2f|%.3f|%s|%.4f|%.2f\n", file, said,
      any("en-us en-gb en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd en-gb-x-rp en-029 en-us-nyc"), any(speakers), part, spoken,
      between(120, 230), between(20, 80), kind == "digits" ? sprintf("%.2f", between(0.1, 0.6)) : around,
      kind == "digits" ? between(0.3, 0.6) : at, loud, any("white pink brown"), loud * any("0.001 0.003 0.01 0.03 0.06"), between(0, 50)
  }
  function digits(part, count, speakers,   k, d, n, said, spoken, slow, name) {
    for (k = 0; k < count; k++) {
      n = 1 + draw(7); said = spoken = ""
      # Some count fast and some pause behind each digit.
      slow = draw(3) * draw(201)
      for (d = 1; d <= n; d++) {
        name = any("zero one two three four five six seven eight nine")
        said = said (d > 1 ? " " : "") name
        spoken = spoken name (d == n ? "" : slow ? "<break time=\"" draw(2 * slow) "ms\"/>" : " ")
      }
      line(sprintf("%s-%04d", part, k), said, part, speakers, "<speak>" spoken "</speak>")
    }
  }
  function syllable() {
    return any("b d f g h j k l m n p r s t v w y z ch sh th bl br dr fl gr kl pr st tr") any("a e i o u ay ee oh oo ai") any("b d k l m n p r s t ng")
  }
  # One of thirty sounds like the word, and a third are none; in training, where it is to be learnt, as many sound alike.
  function word(   n) {
    n = draw(30)
    if (n < (part == "train" ? 10 : 1))
      return any("king kindle kitten inkling kingdom thinking kinked giblet gimlet piglet triplet couplet outlet kingfisher " \
        "gauntlet tinkle single kettle booklet trinket blanket pickle gimmick kin let kinder inlet violet")
    if (n < (part == "train" ? 20 : 11)) return syllable() (draw(2) ? syllable() : "")
    return any("the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not what all were " \
      "we when your can said there use an each which she do how their if will up other about out many then them these so some her would make " \
      "like him into time has look two more write go see number no way could people my than first water been call who oil its now find long " \
      "down day did get come made may part over new sound take only little work know place year live me back give most very after thing our " \
      "just name good sentence man think say great where help through much before line right too mean old any same tell boy follow came want " \
      "show also around form three small set put end does another well large must big even such because turn here why ask went men read need " \
      "land different home us move try kind hand picture again change off play spell air away animal house point page letter mother answer")
  }
  function words(n,   said) { said = word(); while (--n > 0) said = said (draw(8) ? " " : ", ") word(); return said }
  function keyword(of, count, minutes, speakers,   k) {
    part = of
    for (k = 0; k < count; k++)
      line(sprintf("%s-kinglet-%04d", part, k), "kinglet", part, speakers, "kinglet", draw(3) ? words(3) : "", between(0, 0.4))
    for (k = 0; k < minutes; k++) line(sprintf("%s-unknown-%04d", part, k), "unknown", part, speakers, words(200))
    for (k = 0; k < minutes / 2; k++) line(sprintf("%s-silence-%04d", part, k), "silence", part, speakers)
  }
  BEGIN {
    state = 1 + (seed * 48271) % 2147483646; for (k = 0; k < 10; k++) draw(1)
    train = "m1 m2 m4 m7 m8 f1 f3 f5"; valid = "m5 f4"; test = "m3 m6 f2"
    if (kind == "digits") { digits("train", 1600, train); digits("valid", 200, valid); digits("test", 400, test) }
    else { keyword("train", 1200, 60, train); keyword("valid", 200, 60, valid); keyword("test", 400, 120, test) }
  }' >plan

voiced() { # FILE TEXT EFFECT...: in the voice of the plan
  espeak-ng -m -v "$voice" -s "$speed" -p "$pitch" --stdout "$2" | sox -V1 -R -D -t wav - -r 8000 -b 16 "$1" gain -n -1 "${@:3}"
}
speak() { # A line of the plan
  IFS='|' read -r file said voice _ spoken speed pitch around at loud noise hiss place <<<"$1"
  local own=${file%.wav}.own edge
  case $said in
    kinglet) # As much before and behind it as leaves it whole in every second.
      voiced "$own.word.wav" "$spoken" silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse
      edge=$(awk -v d="$(soxi -D "$own.word.wav")" 'BEGIN { print (d < 0.95 ? 1 - d : 0.05) }')
      if [ -z "$around" ]; then
        sox -V1 -R -D "$own.word.wav" "$own.wav" pad "$edge" "$edge"
      else
        voiced "$own.around.wav" "$around" silence 1 0.01 0.5%
        sox -V1 -R -D "$own.around.wav" "$own.before.wav" trim "$at" "$edge"
        sox -V1 -R -D "$own.around.wav" "$own.behind.wav" trim 0.5 "$edge"
        sox -V1 -R -D "$own.before.wav" "$own.word.wav" "$own.behind.wav" "$own.wav"
      fi ;;
    unknown) voiced "$own.wav" "$spoken" trim 0 60 ;;
    silence) sox -V1 -R -D -n -r 8000 -b 16 "$own.wav" trim 0 10 ;;
    *) voiced "$own.wav" "$spoken" pad "$around" "$at" ;; # silence before and behind the digits
  esac
  sox -V1 -R -D -m -v "$loud" "$own.wav" -v "$hiss" "|sox -V1 noise/$noise.wav -p trim $place $(soxi -D "$own.wav")" "$file"
  rm "${file%.wav}".own.*
}
export -f voiced speak
xargs -d '\n' -P "$(nproc)" -I {} bash -euo pipefail -c 'speak "$1"' - {} <plan
{
  echo "file,$said,voice,part"
  cut -d '|' -f 1-4 --output-delimiter , plan
} >$name.csv
rm -r noise plan
echo "$PWD/$name.csv: made; now: kinglet train trainer/tasks/$name.toml --out $name.kgl"
