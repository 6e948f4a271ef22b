#!/bin/bash
# headers.sh INCLUDE_DIR COMPILER [FLAG...]: every public header compiles alone, without exceptions
# and run-time types, and includes nothing that makes its users' builds slow or drags in a dependency.
# Kernel units (-inl) and the vector layer need an ISA and are compiled by the library's build.
# FLAGs are for the compiler; kedge/header_only.hpp alone is tried with what its target defines.
# Exit status 1 if a header fails, 2 if the check itself could not run.
set -u -o pipefail
include=$1 compiler=$2
shift 2
cd "$include" || exit 2

check() {
  local header=$1 log status=0 extra=
  [ "$header" != kedge/header_only.hpp ] || extra=-DKEDGE_HEADER_ONLY
  # -H lists every file that is included, after dots that show the depth.
  if ! log=$($compiler -std=c++20 -fno-exceptions -fno-rtti -ffp-contract=off -Wall -Wextra -Wpedantic \
      -Wshadow -Wconversion -Wno-sign-conversion -Werror -fsyntax-only -H -I . $flags $extra -x c++ - \
      <<< "#include \"$header\"" 2>&1); then
    echo "$header does not compile alone:"
    grep -vE '^[.]+ |^Multiple include guards|^/' <<< "$log" | head -20
    status=1
  fi
  local heavy
  # Kedge's own headers may have such names.
  heavy=$(grep -E '^[.]+ ' <<< "$log" | grep -vE '^[.]+ ([.]/)?kedge/' |
    grep -E '/(iostream|functional|regex|vulkan/.*|vulkan[^/]*\.h(pp)?|Eigen/.*)$')
  if [ -n "$heavy" ]; then
    echo "$header includes what no public header may:"
    echo "$heavy"
    status=1
  fi
  return $status
}
export -f check
flags="$*"
export compiler flags

mapfile -t headers < <(find kedge -name '*.hpp' ! -name '*-inl.hpp' ! -path 'kedge/kernel/cpu/simd/*' | sort)
[ ${#headers[@]} -gt 0 ] || { echo "headers: none found in $include"; exit 2; }
failed=0
printf '%s\0' "${headers[@]}" |
  xargs -0 -n 1 -P "$(nproc)" bash -c 'check "$1"' check || failed=1
echo "headers: ${#headers[@]} checked"
exit $failed
