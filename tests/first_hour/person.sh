# shellcheck shell=bash
# What a person does at a terminal, for node.sh and register.sh: type a command, look whether it says what it should.
set -uo pipefail
said=""

title() { printf '\n######## %s\n\n' "$*"; }

type() { # COMMAND...: run it as it is typed, show what it says, and end the hour if it fails
  printf '$ %s\n' "$*"
  said=$(eval "$*" 2>&1) || { printf '%s\n' "$said"; give_up "it failed"; }
  [[ -z $said ]] || printf '%s\n' "$said"
}

refused() { # COMMAND...: the same, for what must be refused
  printf '$ %s\n' "$*"
  if said=$(eval "$*" 2>&1); then printf '%s\n' "$said"; give_up "it should have failed"; fi
  printf '%s\n' "$said"
}

sees() { # TEXT: the last command said it
  [[ $said == *"$1"* ]] || give_up "it does not say: $1"
}

serve() { # LOG COMMAND...: start what stays, and wait until it says that it listens
  local log=$1
  shift
  printf '$ %s > %s 2>&1 &\n' "$*" "$log"
  rm -f "$log" # of the one before, which said the same
  eval "exec $*" >"$log" 2>&1 &
  server=$!
  for ((try = 0; try < 600; try++)); do
    grep -sq listening "$log" && return
    sleep 0.1
  done
  cat "$log"
  give_up "it does not listen"
}

end() { # end what `serve` started last
  printf '$ kill %%1\n'
  kill "$server"
  wait "$server"
}

give_up() {
  printf 'GIVEN UP: %s\n' "$*"
  exit 1
}
