# The L2 routed prototype of 2014: hosts in felix.txt, one text file an endpoint, groups that may talk among themselves.
source scripts/lib/ping-matrix.sh

say "Two hosts on one L2 network: instance-1 (172.31.0.1) and instance-2 (172.31.0.2), named in felix.txt"
hosts_begin margay-lan
hosts_add instance-1 172.31.0.1/24
hosts_add instance-2 172.31.0.2/24
mkdir "$hosts_work/data"
cat >"$hosts_work/data/felix.txt" <<'TXT'
[felix instance-1]
ip=172.31.0.1
host=instance-1

[felix instance-2]
ip=172.31.0.2
host=instance-2
TXT
sed 's/^/   /' "$hosts_work/data/felix.txt"
for host in instance-1 instance-2; do hosts_agent "$host" FELIX_INTERFACEPREFIX=cali,tap FELIX_PROMETHEUSMETRICSENABLED=true; done
for host in instance-1 instance-2; do hosts_wait_ready "$host"; done

say "Containers, named after their addresses, and their groups"
network_container() {  # network_container HOST CID IP GROUP, as network_container.sh of the prototype
  printf '   %s# network_container.sh %s %s %s  (margayctl container add)\n' "$1" "$2" "$3" "$4"
  hosts_namespace "$2"
  hosts_ctl "$1" container add "$2" "$3" "$4" | sed 's/^/      /'
}
network_container instance-1 192_168_1_1 192.168.1.1 WEB
network_container instance-1 192_168_1_2 192.168.1.2 DB
network_container instance-2 192_168_1_3 192.168.1.3 WEB

note "instance-2# a fourth one by hand: interfaces with ip, and its endpoint file"
hosts_namespace 192_168_1_4
cid=0123456789abcdef0123456789abcdef
tap=tap${cid:0:11}
ip -n instance-2 link add "$tap" type veth peer name eth0 netns 192_168_1_4
ip -n instance-2 link set "$tap" up
ip -n 192_168_1_4 address add 192.168.1.4/32 dev eth0
ip -n 192_168_1_4 link set eth0 up
ip -n 192_168_1_4 route add default dev eth0
mac=$(ip -n 192_168_1_4 -o link show eth0 | sed 's/.*link\/ether \([^ ]*\).*/\1/')
cat >"$hosts_work/192_168_1_4.txt" <<TXT
[endpoint 192_168_1_4]
id=$cid
ip=192.168.1.4
mac=$mac
host=instance-2
group=DB
TXT
mv "$hosts_work/192_168_1_4.txt" "$hosts_work/data/192_168_1_4.txt"
sed 's/^/      /' "$hosts_work/data/192_168_1_4.txt"

for host in instance-1 instance-2; do hosts_ctl "$host" wait --timeout 10s; done

say "Members of a group reach each other, on both hosts, and nobody else"
expected() {
  case "$1 $2" in
    192_168_1_[13]\ 192_168_1_[13] | 192_168_1_[24]\ 192_168_1_[24]) echo yes ;;
    *) echo no ;;
  esac
}
ping_matrix 192_168_1_1=192.168.1.1 192_168_1_2=192.168.1.2 192_168_1_3=192.168.1.3 192_168_1_4=192.168.1.4

say "ip route shows one route for each container, on both hosts"
for host in instance-1 instance-2; do
  note "$host# ip route"
  ip -n "$host" route | sed 's/^/      /'
  check "$host has a route to each of the four" test "$(ip -n "$host" route | grep -c '^192\.168\.1\.[1-4] ')" = 4
done

say "The endpoint file goes, and with it all that was made of it"
rm "$hosts_work/data/192_168_1_4.txt"
for host in instance-1 instance-2; do hosts_ctl "$host" wait --timeout 10s; done
for host in instance-1 instance-2; do
  check "$host has no route to 192.168.1.4 any more" test -z "$(ip -n "$host" route show 192.168.1.4)"
done
