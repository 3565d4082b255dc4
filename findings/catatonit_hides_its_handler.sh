#!/usr/bin/env bash
# Package:   catatonit 0.1.7-1+b2 (Debian 12), the init of podman run --init.
# Behaviour: SigCgt in /proc/PID/status does not show SIGTERM, since catatonit blocks it and reads it from a signalfd. SIGTERM is
#            forwarded all the same, and it ends with 143.
# Expected:  a PID 1 without SIGTERM in SigCgt has no handler, so that the kernel throws SIGTERM away. Tools that look for PID 1
#            programs without a handler say so of catatonit, and are wrong.
# Output:    "SigCgt has SIGTERM: no, SigBlk has SIGTERM: yes, status after SIGTERM: 143", seen on 2026-12-01.
# Needs root, apt-get and unshare. Fails if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
outer=
trap '[ -z "$outer" ] || kill -KILL "$outer" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download catatonit=0.1.7-1+b2
dpkg-deb -x ./catatonit_*.deb root
program=$(find root -name catatonit -type f -perm -u+x | head -n 1)
unshare --pid --fork --kill-child "$program" -- sleep 60 &
outer=$!
inner=
for _ in $(seq 100); do
    inner=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null | tr -d ' ')
    if [ -n "$inner" ] && [ -n "$(cat "/proc/$inner/task/$inner/children" 2>/dev/null)" ]; then break; fi
    sleep 0.05
done
# Whether SIGTERM, bit 14, is in this mask of the process.
has_term() {
    mask=$(awk -v name="$1:" '$1 == name { print $2 }' "/proc/$inner/status")
    if [ $((0x$mask >> 14 & 1)) = 1 ]; then echo yes; else echo no; fi
}
caught=$(has_term SigCgt)
blocked=$(has_term SigBlk)
kill -TERM "$inner"
status=0
wait "$outer" || status=$?
outer=
found="SigCgt has SIGTERM: $caught, SigBlk has SIGTERM: $blocked, status after SIGTERM: $status"
echo "$found"
[ "$found" = "SigCgt has SIGTERM: no, SigBlk has SIGTERM: yes, status after SIGTERM: 143" ] ||
    { echo "the behaviour has changed" >&2; exit 1; }
