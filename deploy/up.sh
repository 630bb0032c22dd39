#!/bin/bash
# make up and make down: finds a compose command, writes deploy/.env if it is missing, starts.
# up.sh ACTION [LOG]. Passwords go into the file (0600) and nowhere else.
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")/.."
action=$1 log=${2:-} env_file=deploy/.env

fail() { echo "make $action: $*" >&2; exit 2; }
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

if docker compose version >/dev/null 2>&1; then compose=(docker compose)
elif podman compose version >/dev/null 2>&1; then compose=(podman compose)
else fail "neither 'docker compose' nor 'podman compose' works here. Install Docker with its" \
    "compose plugin, or Podman with a compose provider; or run without containers: make run"
fi
compose+=(--env-file "$env_file")

if [[ $action == down ]]; then
    [[ -e $env_file ]] || fail "there is no $env_file, so nothing was started from here"
    exec "${compose[@]}" down
fi

write() { # The file with NAME=VALUE in place of the line of that name, or added.
    local name=$1 value=$2 line
    [[ $value != *[\'$'\n']* ]] || fail "$name holds a quote or a line break: rename it"
    {
        while IFS= read -r line || [[ -n $line ]]; do
            [[ $line == "$name="* ]] || printf '%s\n' "$line"
        done <"$env_file"
        printf "%s='%s'\n" "$name" "$value"
    } >"$env_file.new"
    mv "$env_file.new" "$env_file"
}

if [[ -n $log ]]; then
    [[ -f $log && -r $log ]] || fail "LOG=$log is no readable file"
elif ! grep -qs "^BREACHLINE_LOGS=." "$env_file"; then
    fail "which log shall be watched? make up LOG=/path/to/access.log"
fi
[[ -e $env_file ]] || : >"$env_file"
chmod 600 "$env_file"
for name in ELASTIC_PASSWORD KIBANA_PASSWORD KIBANA_ENCRYPTION_KEY KAFKA_PASSWORD; do
    grep -q "^$name=." "$env_file" || write "$name" "$(random)"
done
if [[ -n $log ]]; then
    write BREACHLINE_LOGS "$(cd "$(dirname "$log")" && pwd)"
    write BREACHLINE_LOG "$(basename "$log")"
fi
"${compose[@]}" up --build --detach
echo "Kibana: http://127.0.0.1:5601 (user elastic; its password is in $env_file)"
