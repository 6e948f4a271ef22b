#!/bin/bash
# weak_symbols.sh LIST: LIST names object files, one a line. None may hold a weak or unique symbol:
# the linker keeps one copy of those, and if it keeps the one that was compiled for AVX-512, an older
# processor meets an illegal instruction. Prints offenders; exit status 1 if there are any, 2 if the
# check itself could not run.
set -u -o pipefail
nm=${NM:-nm}
list=$1
[ -s "$list" ] || { echo "weak_symbols: no list at $list"; exit 2; }
objects=0 offenders=0
while IFS= read -r object || [ -n "$object" ]; do
  [ -n "$object" ] || continue
  symbols=$("$nm" --format=posix "$object") || { echo "weak_symbols: cannot read $object"; exit 2; }
  objects=$((objects + 1))
  # posix format: name type value size. W and w: weak, V and v: weak object, u: unique in the process.
  bad=$(awk '$2 ~ /^[WwVvu]$/ { print $2, $1 }' <<< "$symbols" | c++filt)
  if [ -n "$bad" ]; then
    offenders=$((offenders + $(wc -l <<< "$bad")))
    while IFS= read -r symbol; do echo "$(basename "$object"): $symbol"; done <<< "$bad"
  fi
done < "$list"
[ "$objects" -gt 0 ] || { echo "weak_symbols: the list is empty"; exit 2; }
echo "weak_symbols: $offenders weak symbols in $objects objects"
[ "$offenders" -eq 0 ]
