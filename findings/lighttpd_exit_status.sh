#!/usr/bin/env bash
# Package:   lighttpd 1.4.69-1 (Debian 12).
# Behaviour: SIGTERM ends it within some milliseconds. Its exit status is 0 if no client is connected, and 1 if one is, even a client
#            that only holds an idle keep-alive connection and has its answer.
# Expected:  the status says whether the shutdown was in order, so that it is the same both times. A Pod that is deleted under
#            traffic looks like one that fails: `reason: Error`, `exitCode: 1`.
# Output:    "no client: 0, an idle client: 1", seen on 2026-12-01.
# Needs apt-get and bash. Fails if the behaviour has changed.
set -euo pipefail
version=1.4.69-1
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download "lighttpd=$version" libxxhash0 libpcre2-8-0 libnettle8
for package in ./*.deb; do dpkg-deb -x "$package" root; done
libraries=$(dirname "$(find root -name 'libxxhash.so*' | head -n 1)")
modules=$(dirname "$(find root -name mod_staticfile.so | head -n 1)" 2>/dev/null || echo root)
mkdir site
echo hello >site/index.txt

# Prints the exit status after SIGTERM. $1: the port. $2: whether a client is connected.
stop() {
    printf 'server.document-root = "%s/site"\nserver.port = %s\nserver.bind = "127.0.0.1"\n' "$folder" "$1" >conf
    LD_LIBRARY_PATH=$libraries root/usr/sbin/lighttpd -D -f conf -m "$modules" 2>log &
    server=$!
    for _ in $(seq 100); do
        if exec 3<>"/dev/tcp/127.0.0.1/$1"; then break; fi
        sleep 0.05
    done 2>/dev/null
    printf 'GET /index.txt HTTP/1.1\r\nHost: localhost\r\n\r\n' >&3
    read -r answer <&3
    case $answer in *' 200 '*) ;; *) echo "no answer: $answer" >&2; exit 2 ;; esac
    if [ "$2" = no ]; then
        exec 3>&-
        sleep 0.5
    fi
    kill -TERM "$server"
    status=0
    wait "$server" || status=$?
    server=
    exec 3>&-
    echo "$status" >status
}

stop 18461 no
alone=$(cat status)
stop 18462 yes
busy=$(cat status)
found="no client: $alone, an idle client: $busy"
echo "$found"
[ "$found" = "no client: 0, an idle client: 1" ] || { echo "the behaviour has changed" >&2; exit 1; }
