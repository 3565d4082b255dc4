#!/usr/bin/env bash
# Package:   gunicorn 27.0.1 (PyPI), worker class gthread, on Python 3.
# Behaviour: after SIGTERM the listening socket stays open for as long as an idle keep-alive connection is (2 s by default). A client
#            that connects meanwhile is taken into the backlog, never served, and reset when the socket closes.
# Expected:  an idle connection is closed at once, as by the other worker classes, and new clients are refused at once: a refused
#            connection is retried by most clients, a reset one with a request in it is not.
# Output:    "alone: refused, beside an idle connection: reset", seen on 2026-12-01.
# Needs python3 with venv. Fails if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check gunicorn==27.0.1
cat >app.py <<'APP'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
APP
cat >ask.py <<'ASK'
import signal, socket, subprocess, sys, time

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def late_client(port, has_idle):
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4", "-b", f"127.0.0.1:{port}", "app:app"],
        stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                idle = connect(port)
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        idle.sendall(REQUEST)
        assert b"200 OK" in idle.recv(4096)
        if not has_idle:
            idle.close()
            time.sleep(2.5)
        server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        try:
            late = connect(port)
            late.sendall(REQUEST)
            return "served" if late.recv(4096) else "closed"
        except ConnectionRefusedError:
            return "refused"
        except ConnectionResetError:
            return "reset"
    finally:
        server.wait(30)


print(f"alone: {late_client(18463, False)}, beside an idle connection: {late_client(18464, True)}")
ASK
found=$(env/bin/python ask.py)
echo "$found"
[ "$found" = "alone: refused, beside an idle connection: reset" ] || { echo "the behaviour has changed" >&2; exit 1; }
