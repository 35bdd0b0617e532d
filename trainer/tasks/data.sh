#!/usr/bin/env bash
# Fetches the public data of a task file from its home, checks it, and writes a copy of the task that finds it.
#
#   trainer/tasks/data.sh            what there is, with source and licence
#   trainer/tasks/data.sh NAME...    fetches into trainer/tasks/data/
#
# Needs curl or wget and a network, once, and for the digits python3 with pip. KINGLET_DATA names a mirror of
# raw.githubusercontent.com.
set -euo pipefail
cd "$(dirname "$0")"
base=${KINGLET_DATA:-https://raw.githubusercontent.com}

# task | file in the task | repository/ref/path | SHA-256 | licence
sets="
ett            | ett/ETTh1.csv | zhouhaoyi/ETDataset/HEAD/ETT-small/ETTh1.csv | f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066 | CC BY-ND 4.0
ett-day        | ett/ETTh1.csv | zhouhaoyi/ETDataset/HEAD/ETT-small/ETTh1.csv | f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066 | CC BY-ND 4.0
ett-horizons   | ett/ETTh1.csv | zhouhaoyi/ETDataset/HEAD/ETT-small/ETTh1.csv | f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066 | CC BY-ND 4.0
air            | air_quality/pollution.csv | jbrownlee/Datasets/HEAD/pollution.csv | 34da912a99e1f6327ce28cddcec8deb28a80295e8d3065057dc51387f8fe2670 | none stated there; UCI Beijing PM2.5
machine        | nab/machine_temperature_system_failure.csv | numenta/NAB/HEAD/data/realKnownCause/machine_temperature_system_failure.csv | 92bf5b87fc7f9bba8ca0b7ec63ccaac8cb4a1371a258e8c29a10ae9c018d82a4 | MIT (Numenta Anomaly Benchmark)
min-temperature | series/daily-min-temperatures.csv | jbrownlee/Datasets/HEAD/daily-min-temperatures.csv | 8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da | none stated; Australian Bureau of Meteorology
sunspots       | series/monthly-sunspots.csv | jbrownlee/Datasets/HEAD/monthly-sunspots.csv | c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3 | none stated; Andrews and Herzberg 1985
stock          | stock/data-02-stock_daily.csv | hunkim/DeepLearningZeroToAll/HEAD/data-02-stock_daily.csv | a0ebd202da621b20c04253178714ca05147ffd8f712f8adafd38cee78e38a334 | none stated: do not redistribute
stock-direct   | stock/data-02-stock_daily.csv | hunkim/DeepLearningZeroToAll/HEAD/data-02-stock_daily.csv | a0ebd202da621b20c04253178714ca05147ffd8f712f8adafd38cee78e38a334 | none stated: do not redistribute
shakespeare    | tinyshakespeare/input.txt | karpathy/char-rnn/HEAD/data/tinyshakespeare/input.txt | 86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed | MIT; the text is in the public domain
"
# Cut, shuffled or joined from their homes, so there is no file to fetch; the head of each task says what it holds.
made="activity: Human Motion Primitives, UCI; github.com/wchill/HMP_Dataset
motion: Human Motion Primitives, UCI; github.com/wchill/HMP_Dataset
ecg5000: UCR archive, ECG5000_TRAIN as CSV; github.com/sushantsk1/DL
pos: Universal Dependencies English EWT, CC BY-SA 4.0; github.com/UniversalDependencies/UD_English-EWT
sentiment-en: sentence polarity v1.0, Pang and Lee 2005; github.com/yoonkim/CNN_sentence
sentiment-ko: Naver sentiment movie corpus, CC0; github.com/e9t/nsmc
turbofan: NASA C-MAPSS FD001; github.com/alireza-javanmardi/conformal-RUL-intervals"

fields() { printf '%s' "$1" | awk -F ' *[|] *' -v k="$2" '{ gsub(/^ +| +$/, "", $k); print $k }'; }
line_of() { printf '%s\n' "$sets" | awk -F ' *[|] *' -v name="$1" '$1 == name'; }

if [ $# = 0 ]; then
  echo "fetched by name:"
  printf '%s' "$sets" | awk -F ' *[|] *' 'NF { split($3, home, "/"); printf "  %-16s github.com/%s/%s (%s)\n", $1, home[1], home[2], $5 }'
  echo "made from a Python package:"
  echo "  digits           scikit-learn (CC BY 4.0; Alpaydin and Kaynak 1998, UCI), for digits-drawn too"
  echo "made here:"
  echo "  dance            joints of a skeleton, as sines and noise"
  echo "  speech           spoken digits, by espeak-ng and sox"
  echo "  keyword          a word among others, likewise"
  echo "made from their homes by hand:"
  printf '%s\n' "$made" | sed 's/^/  /'
  echo "made up by the command itself: pump and soft-sensor (kinglet demo), captions, commands, dates, hello, melody, reversal, stories, video"
  exit
fi

fetch() { # URL FILE
  if command -v curl >/dev/null; then curl -fsSL --retry 2 --connect-timeout 15 -o "$2" "$1"
  elif command -v wget >/dev/null; then wget -q -O "$2" "$1"
  else echo "data.sh: neither curl nor wget is installed" >&2; return 1; fi
}

# Of every ten images the last two are for validation and test.
digits() {
  local at=data/digits sum=09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22
  mkdir -p $at
  trap 'rm -rf data/digits/wheel' EXIT
  if ! python3 -m pip download -q --no-deps --only-binary :all: --python-version 3.12 -d $at/wheel scikit-learn; then
    echo "data.sh: pip cannot fetch scikit-learn, which the digits come from: there is no network, or no python3 with pip; nothing was written" >&2
    exit 1
  fi
  python3 - $at/wheel/*.whl $at/digits.csv $sum <<'END'
import gzip, hashlib, os, sys, zipfile
wheel, out, expected = sys.argv[1:]
packed = zipfile.ZipFile(wheel).read("sklearn/datasets/data/digits.csv.gz")
if hashlib.sha256(packed).hexdigest() != expected:
    sys.exit("data.sh: the digits in scikit-learn are other ones than they were; nothing was written")
with open(out + ".part", "w") as table:
    print("image,digit,part," + ",".join(f"p{k}" for k in range(8)), file=table)
    for image, line in enumerate(gzip.decompress(packed).decode().split()):
        *points, digit = (str(int(float(field))) for field in line.split(","))
        part = {8: "valid", 9: "test"}.get(image % 10, "train")
        for row in range(8):
            print(image, digit, part, *points[8 * row : 8 * row + 8], sep=",", file=table)
os.replace(out + ".part", out)
END
  echo "$at/digits.csv: made and checked (CC BY 4.0); now: kinglet train trainer/tasks/digits.toml --out digits.kgl"
}

# Four joints of a skeleton in three dances, 20 times 10 s of each at 20 rows a second: sines whose tempo, swing and beginning differ
# from take to take, and noise. The generator is that of Park and Miller (1988), so everybody has the same rows.
dance() {
  mkdir -p data/dance
  awk '
    function uniform() { seed = (seed * 16807) % 2147483647; return seed / 2147483647 }
    function angle(mean, swing, harmonic, shift) {
      return mean + swing * big * sin(6.283185307 * (harmonic * (tempo * t / 20 + begin) + shift)) + 3 * (uniform() + uniform() - 1)
    }
    BEGIN {
      seed = 1; print "take,dance,hip,knee,shoulder,elbow"
      split("walk wave squat", dances, " ")
      for (take = 0; take < 60; take++) {
        dance = dances[take % 3 + 1]; tempo = 0.9 + 0.2 * uniform(); begin = uniform(); big = 0.9 + 0.2 * uniform()
        for (t = 0; t < 200; t++) {
          if (dance == "walk") { hip = angle(0, 30, 1, 0); knee = angle(30, 25, 1, 0.3); shoulder = angle(0, 20, 1, 0.5); elbow = angle(20, 8, 1, 0.6) }
          if (dance == "wave") { hip = angle(0, 4, 0.5, 0); knee = angle(5, 3, 0.5, 0); shoulder = angle(120, 20, 1, 0); elbow = angle(40, 35, 2, 0.2) }
          if (dance == "squat") { hip = angle(45, 40, 0.5, 0); knee = angle(60, 55, 0.5, 0); shoulder = angle(70, 20, 0.5, 0.1); elbow = angle(10, 5, 0.5, 0) }
          printf "%d,%s,%.1f,%.1f,%.1f,%.1f\n", take, dance, hip, knee, shoulder, elbow
        }
      }
    }' >data/dance/dance.csv.part
  mv data/dance/dance.csv.part data/dance/dance.csv
  echo "data/dance/dance.csv: made; now: kinglet train trainer/tasks/dance.toml --out dance.kgl"
}

for name in "$@"; do
  case $name in
    digits | digits-drawn) digits; continue ;;
    dance) dance; continue ;;
    speech) speech/make.sh; continue ;;
    keyword) speech/make.sh keyword; continue ;;
  esac
  line=$(line_of "$name")
  if [ -z "$line" ]; then
    home=$(printf '%s\n' "$made" | grep "^$name: " || true)
    if [ -n "$home" ]; then
      echo "data.sh: ${home#*: } is the home of \"$name\", but the file is made from it by hand: the head of $name.toml says what it holds" >&2
    else
      echo "data.sh: no data is fetched for \"$name\"; without a name this prints what there is" >&2
    fi
    exit 2
  fi
  file=data/$(fields "$line" 2) url=$base/$(fields "$line" 3) sum=$(fields "$line" 4)
  matches() { printf '%s  %s\n' "$sum" "$1" | sha256sum --check --status; }
  if [ ! -e "$file" ] || ! matches "$file"; then
    mkdir -p "$(dirname "$file")"
    # Nor a folder without a file.
    trap 'rm -f "$file.part"; rmdir "$(dirname "$file")" data 2>/dev/null || true' EXIT
    if ! fetch "$url" "$file.part"; then
      echo "data.sh: cannot fetch $url: there is no network, or the file has moved; nothing was written. With a network elsewhere, save that URL" >&2
      echo "as trainer/tasks/$file and run this again: it then checks the file and writes the task" >&2
      exit 1
    fi
    # Its home has the line ends of another system.
    if [ "$name" = air ]; then tr -d '\r' <"$file.part" >"$file.lf"; mv "$file.lf" "$file.part"; fi
    if ! matches "$file.part"; then
      echo "data.sh: $url is another file than it was: expected SHA-256 $sum; nothing was written" >&2
      exit 1
    fi
    mv "$file.part" "$file"
  fi
  if [ "$name" = machine ]; then
    # The windows of this file, from labels/combined_windows.json of its home.
    cat >data/nab/labels.json <<'END'
{ "machine_temperature_system_failure.csv": { "windows": [
  ["2013-12-10 06:25:00.000000", "2013-12-12 05:35:00.000000"],
  ["2013-12-15 17:50:00.000000", "2013-12-17 17:00:00.000000"],
  ["2014-01-27 14:20:00.000000", "2014-01-29 13:30:00.000000"],
  ["2014-02-07 14:55:00.000000", "2014-02-09 14:05:00.000000"]
] } }
END
  fi
  sed 's#\.\./\.\./\.\./shared/data/##' "$name.toml" >"data/$name.toml"
  echo "$file: fetched and checked ($(fields "$line" 5)); now: kinglet train trainer/tasks/data/$name.toml --out $name.kgl"
done
