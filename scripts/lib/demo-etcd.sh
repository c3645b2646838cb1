# The demonstration of calicoctl 0.5.2 with what the hosts of that time shared: an etcd, and nothing else.
source scripts/lib/calico-2015.sh
command -v etcd >/dev/null || { echo "etcd is missing: run scripts/packages test" >&2; exit 1; }

say "Three hosts: calico-01 (172.17.8.101), calico-02 (172.17.8.102), and etcd-01 (172.17.8.100) with Debian's etcd"
hosts_begin margay-lan
hosts_add calico-01 172.17.8.101/24
hosts_add calico-02 172.17.8.102/24
hosts_add etcd-01 172.17.8.100/24
export DATASTORE_TYPE=etcdv3 ETCD_ENDPOINTS=http://172.17.8.100:2379
etcd_start() {
  ip netns exec etcd-01 etcd --data-dir "$hosts_work/etcd" --listen-client-urls http://172.17.8.100:2379 \
    --advertise-client-urls http://172.17.8.100:2379 --listen-peer-urls http://127.0.0.1:2380 \
    --logger zap --log-outputs "$hosts_work/etcd.log" >/dev/null 2>&1 &
  etcd_pid=$!
  hosts_pids+=("$etcd_pid")
}
etcd_start

say "margay-node on each host"
for host in calico-01 calico-02; do
  hosts_agent "$host" DATASTORE_TYPE=etcdv3 FELIX_PROMETHEUSMETRICSENABLED=true FELIX_HEALTHENABLED=true
done
for host in calico-01 calico-02; do hosts_wait_ready "$host"; done

say "What the nodes have published: themselves, with the addresses that they found, and what a new cluster needs"
published() { [ "$(hosts_ctl calico-01 get nodes -o name | wc -l)" = 2 ]; }
for ((i = 0; i < 100; i++)); do published && break; sleep 0.1; done
run calico-01 get nodes -o wide
run calico-02 get ippools -o wide
run calico-01 get clusterinformation -o yaml

make_containers
run calico-01 get workloadendpoints
give_profiles

connected() { ip netns exec "$1" curl -s http://127.0.0.1:9091/metrics | grep -c "^margay_datastore_connected{source=\"etcd\"} $2"; }
becomes() {  # becomes HOST VALUE: within 15 s
  local i
  for ((i = 0; i < 150; i++)); do
    [ "$(connected "$1" "$2")" = 1 ] && return 0
    sleep 0.1
  done
  return 1
}

say "etcd is killed: the state stays, and the nodes say that it is away"
kill -9 "$etcd_pid"
wait "$etcd_pid" 2>/dev/null || true
check "calico-01 says so in its metrics" becomes calico-01 0
check "calico-01 is still ready" ip netns exec calico-01 curl -sf http://127.0.0.1:9099/readiness
ping_matrix "${containers[@]}"

say "etcd is back: what is written then is in force at once"
etcd_start
check "calico-01 has found it" becomes calico-01 1
check "calico-02 has found it" becomes calico-02 1
append calico-01 workload-B PROF_A_C_E
settle
friends=ABCE
ping_matrix "${containers[@]}"

say "What etcd holds, under the keys of Calico"
ip netns exec etcd-01 env ETCDCTL_API=3 etcdctl --endpoints "$ETCD_ENDPOINTS" get --prefix --keys-only /calico | sed '/^$/d; s/^/      /'
