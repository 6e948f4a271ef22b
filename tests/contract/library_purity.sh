#!/bin/bash
# library_purity.sh ARCHIVE...: what the members of a library refer to. The library never ends the
# process, throws, prints or reads the environment. Prints offenders; exit status 1 if there are any,
# 2 if the check itself could not run.
#
# Not denied, and why:
#   snprintf, vsnprintf              write to memory: Error's text
#   operator new                     throws only std::bad_alloc, caught at the boundary
#   std::__throw_*                   what std containers throw on cold paths, caught at the boundary
#   __cxa_throw_bad_array_new_length the compiler's, for the size of an array of unsigned length
#   __cxa_rethrow                    std containers that clean up on the way to the boundary
#   __cxa_begin_catch, end_catch     that boundary
#   __gxx_personality_v0, _Unwind_Resume   destructors on the way to it
#   std::terminate, __clang_call_terminate the compiler's, where noexcept would be broken
#   __stack_chk_fail                 the compiler's, where a distribution hardens by default
set -u -o pipefail
nm=${NM:-nm}
deny='^(abort|exit|_exit|_Exit|quick_exit|at_quick_exit|__assert_fail|__assert|raise|kill|longjmp'
deny+='|__cxa_throw|_ZSt17rethrow_exceptionNSt15__exception_ptr13exception_ptrE'
deny+='|getenv|secure_getenv|__secure_getenv|setenv|putenv|environ|__environ'
deny+='|printf|vprintf|fprintf|vfprintf|dprintf|vdprintf|__printf_chk|__vprintf_chk|__fprintf_chk|__vfprintf_chk|__dprintf_chk'
deny+='|puts|putchar|putc|fputs|fputc|perror|psignal|syslog|__syslog_chk|stdout|stderr'
deny+='|_ZSt4cout|_ZSt4cerr|_ZSt4clog|_ZSt5wcout|_ZSt5wcerr|_ZNSt8ios_base4InitC[12]Ev'
# Writing at all is denied but for the member below.
deny+='|fwrite|fwrite_unlocked|write|writev|pwrite|fopen|fopen64)$'
# member:symbol pairs that are allowed in spite of that:
#   os_file        writes the files that the caller names
allow='^os_file\.cpp\.o:write$'

members=0 offenders=0
for archive in "$@"; do
  symbols=$("$nm" --undefined-only --format=posix "$archive") ||
    { echo "library_purity: cannot read $archive"; exit 2; }
  member=$(basename "$archive")
  while IFS=' ' read -r name rest; do
    case $name in
      "") continue ;;
      *"["*"]:") member=${name##*[}; member=${member%]:}; members=$((members + 1)); continue ;;
    esac
    name=${name%%@*}
    if [[ $name =~ $deny ]] && ! [[ $member:$name =~ $allow ]]; then
      echo "$member refers to $(c++filt "$name")"
      offenders=$((offenders + 1))
    fi
  done <<< "$symbols"
done
[ "$members" -gt 0 ] || { echo "library_purity: no members in $*"; exit 2; }
echo "library_purity: $offenders forbidden references in $members members"
[ "$offenders" -eq 0 ]
