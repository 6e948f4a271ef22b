#!/usr/bin/env bash
# usage: run.sh BUILD_FOLDER MODEL [CONSUMER...]
# Builds and runs the programs of this folder outside the tree of the sources, against an installed
# and moved Kedge: installed, subdirectory, no_exceptions, header_only,
# own_operator, two_static, two_shared. Prints a line each
# and fails when one does.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
build=$(cd "$1" && pwd) model=$(realpath "$2")
shift 2
consumers=("$@")
[ $# -gt 0 ] || consumers=(installed subdirectory no_exceptions header_only own_operator two_static two_shared)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here" "$work/consume"  # nothing may be found because it lies beside the sources

# A second run need not compile again what the first one did.
if command -v ccache > /dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-/} CCACHE_NOHASHDIR=1
quietly() { "$@" > "$work/log" 2>&1 || { cat "$work/log"; return 1; }; }
# library PREFIX SOURCE CMAKE_OPTION...: builds and installs the core alone, then moves it
library() {
  local prefix=$1 from=$2
  shift 2
  quietly cmake -S "$from" -B "$prefix-build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DKEDGE_TEXT=OFF \
    -DKEDGE_VULKAN=OFF -DKEDGE_BUILD_TOOLS=OFF -DKEDGE_BUILD_TESTS=OFF -DKEDGE_BUILD_EXAMPLES=OFF "$@" &&
    quietly cmake --build "$prefix-build" -j "$(nproc)" &&
    quietly cmake --install "$prefix-build" --prefix "$prefix-before" &&
    mv "$prefix-before" "$prefix"
}
consumer() {  # consumer FOLDER CMAKE_OPTION...
  local folder=$1
  shift
  quietly cmake -S "$work/consume/$folder" -B "$work/$folder-build" -G Ninja \
    -DCMAKE_BUILD_TYPE=Release "$@" &&
    quietly cmake --build "$work/$folder-build" -j "$(nproc)"
}
expected=
run() {  # run NAME PROGRAM: the same text from all
  local tokens
  tokens=$("$2" "$model" | tail -1) || { echo "$1: FAILED"; return 1; }
  [ -n "$tokens" ] || { echo "$1: printed no tokens"; return 1; }
  : "${expected:=$tokens}"
  [ "$tokens" = "$expected" ] || { echo "$1: other tokens: $tokens, not $expected"; return 1; }
  echo "ok  $1"
}
installed() {  # what $build has, installed and moved
  [ -d "$work/moved" ] || { quietly cmake --install "$build" --prefix "$work/before" &&
    mv "$work/before" "$work/moved"; }
}
fast_math_is_refused() {
  if cmake -S "$work/consume/header_only" -B "$work/fast" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" \
    -DEXTRA_FLAGS=-ffast-math > "$work/log" 2>&1 && cmake --build "$work/fast" -t operators > "$work/log" 2>&1; then
    echo "header_only: -ffast-math was not refused"
    return 1
  fi
  grep -q 'ffast-math lets the compiler reorder' "$work/log" || { cat "$work/log"; return 1; }
}
other_version() {  # the sources as a later version would be
  [ -d "$work/later" ] && return
  mkdir "$work/later"
  (cd "$source" && tar cf - CMakeLists.txt cmake include src shaders) | tar xf - -C "$work/later"
  sed -i 's/^#define KEDGE_ABI v0$/#define KEDGE_ABI v99/' "$work/later/include/kedge/core/config.hpp"
  grep -q 'KEDGE_ABI v99' "$work/later/include/kedge/core/config.hpp"
  sed -i 's/^project(kedge VERSION [0-9.]*/project(kedge VERSION 0.99.0/' "$work/later/CMakeLists.txt"
}

failed=0
for name in "${consumers[@]}"; do
  case $name in
    installed | no_exceptions)
      installed
      export PKG_CONFIG_PATH
      PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name kedge.pc)")
      consumer "$name" -DCMAKE_PREFIX_PATH="$work/moved" && run "$name" "$work/$name-build/consumer" ;;
    header_only)
      installed && consumer header_only -DCMAKE_PREFIX_PATH="$work/moved" &&
        "$work/header_only-build/consumer" && fast_math_is_refused && echo "ok  $name" ;;
    own_operator)
      installed && consumer own_operator -DCMAKE_PREFIX_PATH="$work/moved" &&
        "$work/own_operator-build/consumer" && echo "ok  $name" ;;
    subdirectory)
      consumer "$name" -DKEDGE_SOURCE="$source" && run "$name" "$work/$name-build/consumer" ;;
    two_static | two_shared)
      shared=OFF
      [ "$name" = two_static ] || shared=ON
      other_version &&
        library "$work/$name-first" "$source" -DBUILD_SHARED_LIBS=$shared &&
        library "$work/$name-second" "$work/later" -DBUILD_SHARED_LIBS=$shared &&
        rm -rf "$work/two_versions-build" &&
        consumer two_versions -DFIRST="$work/$name-first" -DSECOND="$work/$name-second" &&
        run "$name" "$work/two_versions-build/consumer" ;;
    *) echo "no consumer named $name"; exit 2 ;;
  esac || failed=1
done
exit $failed
