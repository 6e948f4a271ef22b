#!/bin/bash
# expect_failure.sh TEXT COMMAND...: passes when COMMAND ends with status 1 and prints TEXT. Proves
# that a check can fail.
set -u
text=$1
shift
output=$("$@" 2>&1)
status=$?
echo "$output"
[ $status -eq 1 ] || { echo "expected exit status 1, found $status"; exit 1; }
grep -qF -- "$text" <<< "$output" || { echo "expected the text: $text"; exit 1; }
