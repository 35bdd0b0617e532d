# What `run.sh` and `training.sh` share. Everything lands in the target folder, in a folder of its own.

target=${CARGO_TARGET_DIR:-../../target}/peers
mkdir -p "$target"
target=$(cd "$target" && pwd)
venv=$target/venv
export CARGO_TARGET_DIR=$target RUSTFLAGS="-C target-cpu=native"
settings=
for setting in ROUNDS EPOCHS; do
  [ -z "${!setting:-}" ] || settings+="$setting=${!setting} "
done

# The command as the results name it.
written() { echo "$settings$*"; }

# The argument, or the name that the CPU gives itself.
cpu_name() {
  echo "${1:-$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1 | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')}"
}

# An environment with these packages.
venv_with() {
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  [ $# = 0 ] || "$venv/bin/pip" install -q "$@"
}

# Sets PYTHON unless it is set; what it needs beside PyTorch are the arguments.
python_with_torch() {
  [ -n "${PYTHON:-}" ] && return
  PYTHON=$venv/bin/python
  venv_with torch "$@"
}
