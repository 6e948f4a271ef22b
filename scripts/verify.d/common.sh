# Shared by the shell programs of scripts/verify; no claim of its own. To be sourced.
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
model=${KEDGE_MODEL:-$(scripts/model --path)}
program=${KEDGE_PROGRAM:-$root/build/release/bin/kedge}

quiet_build() { scripts/build "$@" > /dev/null || die "building preset $1 failed"; }
need_model() { [ -f "$model" ] || scripts/model; }
skip() { echo "SKIPPED: $*"; exit 0; }
# ctest of a preset, quietly unless it fails; the closing lines are the figures.
run_tests() {
  local preset=$1
  shift
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error "$@" > "$work/ctest.log" 2>&1 ||
    { cat "$work/ctest.log"; return 1; }
  grep -E 'tests passed|Total Test time|^ *[0-9]+/[0-9]+ Test' "$work/ctest.log"
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
