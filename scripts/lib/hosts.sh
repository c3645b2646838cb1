# Hosts as network namespaces on one bridge, one margay-node each. Sourced by scripts/demo and scripts/bench.
# Everything made here is remembered and removed by hosts_down, by its own name or process id.

hosts_namespaces=()
hosts_pids=()
hosts_lan=
hosts_work=

# hosts_begin LAN: an empty LAN (a bridge in a namespace of its own) and a scratch directory in $hosts_work.
hosts_begin() {
  hosts_lan=$1
  hosts_work=$(mktemp -d "${TMPDIR:-/tmp}/margay-XXXXXX")
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
  hosts_namespaces+=("$1")  # first: a signal may come between the two
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

hosts_down() {
  local pid name
  trap '' INT TERM  # half a cleanup is none: a second Ctrl-C waits, too
  for pid in "${hosts_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${hosts_pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  hosts_pids=()
  for name in "${hosts_namespaces[@]}"; do
    ip netns pids "$name" 2>/dev/null | xargs -r kill 2>/dev/null || true
    ip netns delete "$name" 2>/dev/null || true
  done
  hosts_namespaces=()
  if [ -n "$hosts_work" ]; then rm -rf "$hosts_work"; fi
}
