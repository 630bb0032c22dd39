#!/bin/bash
# Exit 0 if this container holds an established TCP connection to this port, wherever it is.
set -euo pipefail
printf -v port '%04X' "$1"
# Columns of the kernel's table: slot, local address:port, remote address:port, state (01).
grep -Eqs "^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:$port 01 " /proc/net/tcp /proc/net/tcp6
