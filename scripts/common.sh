# Shared by the scripts: where the project is, how steps are announced and timed. To be sourced.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# Only CI and terminals differ in colour; texts are the same everywhere.
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold= plain=; fi

say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# step TEXT COMMAND...: announces, runs, says how long it took.
step_times=()
step() {
  local text=$1 start=$SECONDS
  shift
  say "$text"
  "$@"
  step_times+=("$(printf '%5d s  %s' $((SECONDS - start)) "$text")")
}
print_times() {
  say "time"
  printf '%s\n' "${step_times[@]}"
  printf '%5d s  in all\n' "$SECONDS"
}
jobs=$(nproc)
