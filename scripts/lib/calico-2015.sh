# The steps of calicoctl 0.5.2's demonstration, word for word, with margayctl in calicoctl's place: containers A to E
# on calico-01 and calico-02, which must be there with an agent each. Sourced by the demonstrations that follow it.
source scripts/lib/ping-matrix.sh

containers=(workload-A=192.168.0.1 workload-B=192.168.0.2 workload-C=192.168.0.3 workload-D=192.168.0.4 workload-E=192.168.0.5)

run() {  # run HOST COMMAND...: shows the command as typed, then runs it
  local host=$1
  shift
  printf '   %s# margayctl %s\n' "$host" "$*"
  hosts_ctl "$host" "$@" | sed 's/^/      /'
}

append() {  # append HOST CONTAINER PROFILE
  printf '   %s# margayctl endpoint $(margayctl container %s endpoint-id show) profile append %s\n' "$1" "$2" "$3"
  hosts_ctl "$1" endpoint "$(hosts_ctl "$1" container "$2" endpoint-id show)" profile append "$3" | sed 's/^/      /'
}

settle() {
  hosts_ctl calico-01 wait --timeout 10s
  hosts_ctl calico-02 wait --timeout 10s
}

friends=  # the letters of those who may reach each other
expected() {
  if [[ -n $friends && $1 == workload-[$friends] && $2 == workload-[$friends] ]]; then echo yes; else echo no; fi
}

make_containers() {
  say "Containers without a network, and their addresses"
  for name in A B C D E; do hosts_namespace "workload-$name"; done
  run calico-01 container add workload-A 192.168.0.1
  run calico-01 container add workload-B 192.168.0.2
  run calico-01 container add workload-C 192.168.0.3
  run calico-02 container add workload-D 192.168.0.4
  run calico-02 container add workload-E 192.168.0.5
  say "No profile yet: nobody may talk with anybody"
  settle
  ping_matrix "${containers[@]}"
}

give_profiles() {
  say "Profiles"
  run calico-01 profile add PROF_A_C_E
  run calico-01 profile add PROF_B
  run calico-01 profile add PROF_D
  append calico-01 workload-A PROF_A_C_E
  append calico-01 workload-B PROF_B
  append calico-01 workload-C PROF_A_C_E
  append calico-02 workload-D PROF_D
  append calico-02 workload-E PROF_A_C_E
  say "A, C and E share a profile; B and D are alone in theirs"
  settle
  friends=ACE
  ping_matrix "${containers[@]}"
}
