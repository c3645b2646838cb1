# ping_matrix CONTAINER=ADDRESS... with `expected FROM TO` (prints yes or no) defined by the caller: pings every
# ordered pair at once and prints seen against expected. Counts wrong cells in $failures.
ping_matrix() {
  local from to seen want cell line directory
  directory=$(mktemp -d "$hosts_work/matrix-XXXXXX")
  for from in "$@"; do
    for to in "$@"; do
      [ "$from" = "$to" ] && continue
      ip netns exec "${from%%=*}" ping -q -c 1 -W 1 "${to#*=}" >"$directory/${from%%=*}.${to%%=*}" 2>&1 && : >"$directory/${from%%=*}.${to%%=*}.yes" &
    done
  done
  for job in $(jobs -p); do
    case " ${hosts_pids[*]} " in *" $job "*) ;; *) wait "$job" || true ;; esac
  done
  printf '\n   %-12s' 'from \ to'
  for to in "$@"; do printf '%-14s' "${to%%=*}"; done
  printf '\n'
  for from in "$@"; do
    line=$(printf '   %-12s' "${from%%=*}")
    for to in "$@"; do
      if [ "$from" = "$to" ]; then
        line+=$(printf '%-14s' .)
        continue
      fi
      seen=no
      [ -e "$directory/${from%%=*}.${to%%=*}.yes" ] && seen=yes
      want=$(expected "${from%%=*}" "${to%%=*}")
      cell="$want/$seen"
      if [ "$seen" != "$want" ]; then
        cell+=" WRONG"
        failures=$((failures + 1))
      fi
      line+=$(printf '%-14s' "$cell")
    done
    printf '%s\n' "$line"
  done
  printf '   (expected/seen)\n'
}
