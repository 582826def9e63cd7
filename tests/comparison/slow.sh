#!/bin/sh
size=$(wc -c)
sleep 1
echo "$size"
