#!/usr/bin/env bash
# Package:   libc6 2.36-9+deb12u14 and perl-base 5.36.0-7+deb12u4 (Debian 12), on Linux 6.18.
# Behaviour: a program that calls abort() as PID 1 of a PID namespace ends by SIGSEGV (139 to a shell). The kernel throws the SIGABRT
#            away that a PID 1 sends to itself without a handler; abort() then executes an instruction that faults.
# Expected:  abort() ends a program by SIGABRT (134), in a container as elsewhere. A failed assertion in a container is looked for
#            as a bad pointer.
# Output:    "as PID 1: 139, else: 134", seen on 2026-12-01.
# Needs root, apt-get and unshare. Fails if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download libc6 perl-base libcrypt1
for package in ./*.deb; do dpkg-deb -x "$package" root; done
ls ./*.deb
library=$(dirname "$(find root -name libc.so.6 | head -n 1)")
crypt=$(dirname "$(find root -name 'libcrypt.so.1' | head -n 1)")
loader=$(find root -name 'ld-linux-x86-64.so.2' | head -n 1)
modules=$(dirname "$(find root -name POSIX.pm | head -n 1)")
ulimit -c 0
abort=("$loader" --library-path "$library:$crypt" root/usr/bin/perl "-I$modules" -MPOSIX -e 'POSIX::abort()')
inside=0
unshare --pid --fork --kill-child "${abort[@]}" || inside=$?
outside=0
"${abort[@]}" || outside=$?
found="as PID 1: $inside, else: $outside"
echo "$found"
[ "$found" = "as PID 1: 139, else: 134" ] || { echo "the behaviour has changed" >&2; exit 1; }
