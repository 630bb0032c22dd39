#!/bin/bash
# Exit 0 if GET /healthz on this port of loopback answers 200. Bash opens the connection itself: the
# image has no curl, and a Python every few seconds would cost more than the check is worth.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
IFS= read -r -t 5 status <&3
[[ $status == HTTP/1.?" 200 "* ]]
