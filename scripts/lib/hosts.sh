# shellcheck shell=bash
# Hosts as network namespaces on one bridge, one margay-node each.
# Everything made here is written down in $hosts_work and removed by hosts_down, by its own name or process id.

hosts_pids=()   # agents, in the order of their start
hosts_lan=
hosts_work=     # the scratch directory
hosts_group=    # the process group of all that runs, under hosts_run

# hosts_run COMMAND...: runs a command or function that makes hosts, then removes all that it made and started, whatever
# ended it. Returns its status, 128 + N after signal N. Needs the directory $hosts_work.
#
# COMMAND is a process of its own, and this one only waits: bash 5.2 sometimes loses the trap of a signal that comes in
# the middle of a command substitution ("unexpected EOF while looking for matching"), or hangs.
hosts_run() {
  local status=0 stopped=""
  trap 'stopped=129; hosts_stop' HUP
  trap 'stopped=130; hosts_stop' INT
  trap 'stopped=143; hosts_stop' TERM
  set -m  # a process group for it: Ctrl-C reaches only us
  { set +m; "$@"; } </dev/null &
  hosts_group=$!
  set +m
  [ -z "$stopped" ] || hosts_stop
  wait "$hosts_group" || status=$?
  trap '' HUP INT TERM  # half a cleanup is none: a second Ctrl-C waits, too
  hosts_down
  return "${stopped:-$status}"
}

hosts_stop() { [ -z "$hosts_group" ] || kill -- "-$hosts_group" 2>/dev/null || true; }

# hosts_begin LAN: an empty LAN (a bridge in a namespace of its own), and $hosts_work if it is not there yet.
hosts_begin() {
  hosts_lan=$1
  [ -n "$hosts_work" ] || hosts_work=$(mktemp -d "${TMPDIR:-/tmp}/margay-XXXXXX")
  hosts_namespace "$hosts_lan"
  ip -n "$hosts_lan" link add br0 type bridge forward_delay 0
  ip -n "$hosts_lan" link set br0 up
}

# hosts_namespace NAME: refuses to take over one that somebody else made.
hosts_namespace() {
  if [ -e "/run/netns/$1" ]; then
    echo "a network namespace $1 exists already: remove it with 'ip netns delete $1' if it is a leftover" >&2
    return 1
  fi
  echo "$1" >>"$hosts_work/namespaces"  # first: a signal may come between the two
  ip netns add "$1"
  ip -n "$1" link set lo up
}

# hosts_add NAME ADDRESS/LENGTH...: a host with eth0 on the LAN.
hosts_add() {
  local name=$1 address
  shift
  hosts_namespace "$name"
  ip -n "$hosts_lan" link add "p-$name" type veth peer name eth0 netns "$name"
  ip -n "$hosts_lan" link set "p-$name" master br0 up
  ip netns exec "$name" sysctl -qw net.ipv6.conf.eth0.accept_dad=0
  for address in "$@"; do ip -n "$name" address add "$address" dev eth0; done
  ip -n "$name" link set eth0 up
}

# hosts_agent NAME [VARIABLE=VALUE...]: margay-node on that host, log in $hosts_work/NAME.log.
hosts_agent() {
  local name=$1
  shift
  mkdir -p "$hosts_work/run/$name"
  ip netns exec "$name" env DATASTORE_TYPE=file NODENAME="$name" MARGAY_DATA_DIR="$hosts_work/data" \
    MARGAY_RUN_DIR="$hosts_work/run/$name" "$@" "$MARGAY_BIN/margay-node" 2>"$hosts_work/$name.log" &
  hosts_pids+=($!)
}

# hosts_ctl NAME ARGUMENTS...: margayctl as typed on that host.
hosts_ctl() {
  local name=$1
  shift
  ip netns exec "$name" env NODENAME="$name" MARGAY_DATA_DIR="$hosts_work/data" MARGAY_RUN_DIR="$hosts_work/run/$name" \
    "$MARGAY_BIN/margayctl" "$@"
}

hosts_wait_ready() {
  local name=$1 i
  for ((i = 0; i < 200; i++)); do
    if [ -S "$hosts_work/run/$name/margay.sock" ] && hosts_ctl "$name" wait --timeout 10s 2>/dev/null; then return 0; fi
    sleep 0.05
  done
  echo "margay-node on $name is not ready; its log:" >&2
  tail -n 20 "$hosts_work/$name.log" >&2
  return 1
}

hosts_running() {  # the processes here; not the dead ones that nobody has waited for
  local name
  [ -z "$hosts_group" ] || pgrep --pgroup "$hosts_group" --runstates D,I,R,S,T || true
  while read -r name; do ip netns pids "$name" 2>/dev/null || true; done <"$hosts_work/namespaces"
}

# hosts_down: ends all that runs here, in ten seconds or by force, and removes the namespaces and $hosts_work.
hosts_down() {
  local signal name i
  [ -e "$hosts_work/namespaces" ] || : >"$hosts_work/namespaces"
  for signal in TERM KILL; do
    hosts_running | xargs -r kill -s "$signal" 2>/dev/null || true
    for ((i = 0; i < 200; i++)); do
      [ -n "$(hosts_running)" ] || break 2
      sleep 0.05
    done
  done
  while read -r name; do ip netns delete "$name" 2>/dev/null || true; done <"$hosts_work/namespaces"
  rm -rf "$hosts_work"
  hosts_pids=() hosts_work=
}
