# The demonstration of calicoctl 0.5.2 on the file datastore; then repair, metrics and cleanup.
source scripts/lib/calico-2015.sh

say "Two hosts: calico-01 (172.17.8.101) and calico-02 (172.17.8.102), network namespaces on one bridge"
hosts_begin margay-lan
hosts_add calico-01 172.17.8.101/24
hosts_add calico-02 172.17.8.102/24
mkdir "$hosts_work/data"
cat >"$hosts_work/data/nodes.yaml" <<'YAML'
apiVersion: v1
kind: Node
metadata: {name: calico-01}
status: {addresses: [{type: InternalIP, address: 172.17.8.101}]}
---
apiVersion: v1
kind: Node
metadata: {name: calico-02}
status: {addresses: [{type: InternalIP, address: 172.17.8.102}]}
YAML
check "calico-01 reaches calico-02" ip netns exec calico-01 ping -q -c 1 -W 2 172.17.8.102 >/dev/null

say "margay-node on each host; what they share is the directory $hosts_work/data"
# One host for each way to write rules, unless the environment says which or this kernel has no legacy tables.
first=${FELIX_IPTABLESBACKEND:-Legacy}
ip netns exec calico-01 iptables-legacy -S >/dev/null 2>&1 || first=Auto
hosts_agent calico-01 FELIX_PROMETHEUSMETRICSENABLED=true FELIX_HEALTHENABLED=true FELIX_IPTABLESBACKEND="$first"
hosts_agent calico-02 FELIX_PROMETHEUSMETRICSENABLED=true FELIX_HEALTHENABLED=true FELIX_IPTABLESBACKEND="${FELIX_IPTABLESBACKEND:-Auto}"
hosts_wait_ready calico-01
hosts_wait_ready calico-02
for host in calico-01 calico-02; do
  note "$host: $(hosts_ctl "$host" status | sed -n 's/^\(rules: [^:]*\):.*/\1/p')"
done

make_containers
give_profiles

say "Why? An allowed pair, across the hosts, and a denied one"
explain_is() {  # explain_is WANTED FROM TO
  local answer
  printf '   calico-01# margayctl explain --from default/%s --to default/%s --protocol icmp\n' "$2" "$3"
  answer=$(hosts_ctl calico-01 explain --from "default/$2" --to "default/$3" --protocol icmp)
  printf '%s\n' "$answer" | sed 's/^/      /'
  [[ $answer == *"$1"* ]]
}
check "explain says that A reaches E" explain_is "Allow" workload-A workload-E
check "explain says that A does not reach B" explain_is "Deny" workload-A workload-B

say "Something wipes what Margay made: how long until it is back?"
on() { ip netns exec "$@"; }  # on HOST COMMAND...
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
back_within() {  # back_within DESCRIPTION LIMIT_MS PROBE...: waits for the probe to succeed
  local what=$1 limit=$2 start now
  shift 2
  start=$(milliseconds)
  until "$@" >/dev/null 2>&1; do
    now=$(milliseconds)
    if ((now - start > limit)); then break; fi
    sleep 0.005
  done
  now=$(milliseconds)
  check "$what: back after $((now - start)) ms, at most $limit" test $((now - start)) -le "$limit"
}
# by_rules HOST: the commands by which its rules and sets are seen, counted and wiped.
by_rules() {
  host=$1
  case "$(hosts_ctl "$host" status)" in
    *"nftables (tables"*)
      rules_of() { on "$host" nft list table ip margay | grep -cE '(accept|drop|return|reject|goto|jump|vmap|set)'; }
      local_members() { on "$host" nft list set ip margay mgy4-local | grep -o '192\.168\.' | wc -l; }
      wipe_rules="nft flush table ip margay"
      wipe_set="nft flush set ip margay mgy4-local"
      rules_left() { on "$host" nft list ruleset | grep -c margay; }
      show_rules() { on "$host" nft list chain ip margay mgy-from-workload; }
      ;;
    *)
      rules_of() { on "$host" iptables-legacy -S | grep -c -- '-A mgy-'; }
      local_members() { on "$host" ipset list mgy4-local | grep -c '^192\.168\.'; }
      wipe_rules="iptables-legacy -F"
      wipe_set="ipset flush mgy4-local"
      rules_left() { { on "$host" iptables-legacy-save; on "$host" ipset list -n; } | grep -c mgy; }
      show_rules() { on "$host" iptables-legacy -S mgy-from-workload; }
      ;;
  esac
}
have_rules() { [ "$rules_before" -gt 0 ] && [ "$(rules_of)" = "$rules_before" ]; }
have_members() { [ "$(local_members)" = "$members_before" ]; }
have_route() { on calico-01 ip route show 192.168.0.1 | grep -q cali; }

for host in calico-01 calico-02; do
  by_rules "$host"
  rules_before=$(rules_of) members_before=$(local_members)
  note "$host# $wipe_rules"
  # shellcheck disable=SC2086
  on "$host" $wipe_rules
  back_within "all $rules_before rules" 2000 have_rules
  note "$host# $wipe_set"
  # shellcheck disable=SC2086
  on "$host" $wipe_set
  back_within "the set of its $members_before workloads' addresses" 2000 have_members
done
device=$(on calico-01 ip route show 192.168.0.1 | sed -n 's/.* dev \([^ ]*\).*/\1/p')
note "calico-01# ip route delete 192.168.0.1"
on calico-01 ip route delete 192.168.0.1
back_within "the route to workload-A by $device" 1000 have_route
ping_matrix "${containers[@]}"

say "The metrics that tell it"
metric() { on calico-01 curl -s --max-time 5 http://127.0.0.1:9091/metrics | grep -E "^$1" ; }
metric 'margay_dataplane_(drift_total|changes_total\{op="commit")' | sed 's/^/   /'
metric 'margay_(endpoints|policies|datastore_connected)' | sed 's/^/   /'
check "the drift of each table was counted" test "$(metric 'margay_dataplane_drift_total' | awk '$2 > 0' | wc -l)" -ge 3
check "the agent is ready" on calico-01 curl -sf -o /dev/null http://127.0.0.1:9099/readiness

say "What an operator sees on calico-01"
hosts_ctl calico-01 status | sed 's/^/   /'
on calico-01 ip route | sed 's/^/   /'
for host in calico-01 calico-02; do
  by_rules "$host"
  note "the rules of packets from workloads on $host"
  show_rules | sed 's/^/   /'
done

say "margay-node --cleanup removes all that it made"
for host in calico-01 calico-02; do
  by_rules "$host"
  kill "${hosts_pids[0]}" && wait "${hosts_pids[0]}" || true
  hosts_pids=("${hosts_pids[@]:1}")
  ip netns exec "$host" env DATASTORE_TYPE=file NODENAME="$host" MARGAY_DATA_DIR="$hosts_work/data" MARGAY_RUN_DIR="$hosts_work/run/$host" \
    "$MARGAY_BIN/margay-node" --cleanup 2>>"$hosts_work/$host.log" >/dev/null
  check "no rule and no set of Margay on $host" test "$(rules_left)" = 0
done
