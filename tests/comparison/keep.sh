#!/bin/sh
file=$(mktemp inbox/XXXXXX)
cat >"$file"
echo "$file"
