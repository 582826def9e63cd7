#!/usr/bin/env bash
# Checks that a program of the tool serves, answers and stops:
# bash .github/answers.sh ./halfclose
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$@" --host 127.0.0.1 --port 0 --count 1 2>"$log" &
server=$!
port=""
while [ -z "$port" ]; do
  kill -0 "$server" || { cat "$log"; exit 1; }
  port=$(sed -n 's/.* listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$log")
done
reply=$(printf 'Does it answer?' | "$@" send "127.0.0.1:$port")
wait "$server"
cat "$log"
[ "$reply" = "Does it answer?" ] || { echo "It replied: $reply"; exit 1; }
