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
hosts_agent calico-01 FELIX_PROMETHEUSMETRICSENABLED=true FELIX_HEALTHENABLED=true
hosts_agent calico-02 FELIX_PROMETHEUSMETRICSENABLED=true FELIX_HEALTHENABLED=true
hosts_wait_ready calico-01
hosts_wait_ready calico-02

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
in01() { ip netns exec calico-01 "$@"; }
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
case "$(hosts_ctl calico-01 status)" in
  *"nftables (tables"*)
    rules_of() { in01 nft list table ip margay | grep -cE '(accept|drop|return|reject|goto|jump|vmap|set)'; }
    local_members() { in01 nft list set ip margay mgy4-local | grep -o '192\.168\.' | wc -l; }
    wipe_rules="nft flush table ip margay"
    wipe_set="nft flush set ip margay mgy4-local"
    rules_left() { ip netns exec "$1" nft list ruleset | grep -c margay; }
    show_rules() { in01 nft list chain ip margay mgy-from-workload; }
    ;;
  *)
    rules_of() { in01 iptables-legacy-save -t filter | grep -c -- '-A mgy-'; }
    local_members() { in01 ipset list mgy4-local | grep -c '^192\.168\.'; }
    wipe_rules="iptables-legacy -F"
    wipe_set="ipset flush mgy4-local"
    rules_left() { { ip netns exec "$1" iptables-legacy-save; ip netns exec "$1" ipset list -n; } | grep -c mgy; }
    show_rules() { in01 iptables-legacy-save -t filter | grep -- '-A mgy-from-workload'; }
    ;;
esac
rules_before=$(rules_of)
have_rules() { [ "$(rules_of)" = "$rules_before" ]; }
have_route() { in01 ip route show 192.168.0.1 | grep -q cali; }
have_members() { [ "$(local_members)" = 3 ]; }
device=$(in01 ip route show 192.168.0.1 | sed -n 's/.* dev \([^ ]*\).*/\1/p')

note "calico-01# $wipe_rules"
# shellcheck disable=SC2086
in01 $wipe_rules
back_within "all $rules_before rules" 2000 have_rules
note "calico-01# ip route delete 192.168.0.1"
in01 ip route delete 192.168.0.1
back_within "the route to workload-A by $device" 1000 have_route
note "calico-01# $wipe_set"
# shellcheck disable=SC2086
in01 $wipe_set
back_within "the set of local workloads" 2000 have_members
ping_matrix "${containers[@]}"

say "The metrics that tell it"
metric() { in01 curl -s --max-time 5 http://127.0.0.1:9091/metrics | grep -E "^$1" ; }
metric 'margay_dataplane_(drift_total|changes_total\{op="commit")' | sed 's/^/   /'
metric 'margay_(endpoints|policies|datastore_connected)' | sed 's/^/   /'
check "the drift of each table was counted" test "$(metric 'margay_dataplane_drift_total' | awk '$2 > 0' | wc -l)" -ge 3
check "the agent is ready" in01 curl -sf -o /dev/null http://127.0.0.1:9099/readiness

say "What an operator sees on calico-01"
hosts_ctl calico-01 status | sed 's/^/   /'
in01 ip route | sed 's/^/   /'
show_rules | sed 's/^/   /'

say "margay-node --cleanup removes all that it made"
for host in calico-01 calico-02; do
  kill "${hosts_pids[0]}" && wait "${hosts_pids[0]}" || true
  hosts_pids=("${hosts_pids[@]:1}")
  ip netns exec "$host" env DATASTORE_TYPE=file NODENAME="$host" MARGAY_DATA_DIR="$hosts_work/data" MARGAY_RUN_DIR="$hosts_work/run/$host" \
    "$MARGAY_BIN/margay-node" --cleanup 2>>"$hosts_work/$host.log" >/dev/null
  check "no rule and no set of Margay on $host" test "$(rules_left "$host")" = 0
done
