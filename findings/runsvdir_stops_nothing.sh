#!/usr/bin/env bash
# Package:   runit 2.1.2-54 (Debian 12).
# Behaviour: runsvdir, as PID 1 of a container, exits some milliseconds after SIGTERM (status 0) or SIGHUP (status 111). Its services
#            go by the SIGKILL with which the kernel ends what is left in the namespace. With SIGTERM they get no SIGTERM; with
#            SIGHUP, which has runsvdir send SIGTERM to each runsv, runsvdir does not wait until that has come to the service.
# Expected:  a supervisor that is asked to stop stops its services first and waits for them, and a status of 0 says that it did.
# Output:    "SIGTERM: status 0, 0 services got SIGTERM; SIGHUP: status 111, waits: no", seen on 2026-12-01.
# Needs root, apt-get and unshare. Fails if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
outer=
trap '[ -z "$outer" ] || kill -KILL "$outer" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download runit=2.1.2-54
dpkg-deb -x ./runit_*.deb root
PATH=$folder/root/usr/bin:$folder/root/bin:$PATH
mkdir -p services/one
cat >services/one/run <<'SERVICE'
#!/bin/sh
trap 'echo SIGTERM >>"$RECORD"; sleep 1; echo ended >>"$RECORD"; exit 0' TERM
echo ready >>"$RECORD"
while :; do sleep 0.1; done
SERVICE
chmod +x services/one/run

# Sends this signal; `status` is how runsvdir ends.
stop() {
    export RECORD=$folder/record.$1
    unshare --pid --fork --kill-child runsvdir -P services 2>log &
    outer=$!
    for _ in $(seq 200); do
        if grep -qs ready "$RECORD"; then break; fi
        sleep 0.05
    done
    kill -"$1" "$(tr -d ' ' <"/proc/$outer/task/$outer/children")"
    status=0
    wait "$outer" || status=$?
    outer=
    rm -rf services/one/supervise
}

stop TERM
found="SIGTERM: status $status, $(grep -c SIGTERM "$RECORD" || true) services got SIGTERM"
stop HUP
waits=no
if grep -qs ended "$RECORD"; then waits=yes; fi
found="$found; SIGHUP: status $status, waits: $waits"
echo "$found"
[ "$found" = "SIGTERM: status 0, 0 services got SIGTERM; SIGHUP: status 111, waits: no" ] ||
    { echo "the behaviour has changed" >&2; exit 1; }
