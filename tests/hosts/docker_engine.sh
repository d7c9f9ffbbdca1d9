#!/bin/bash
# A container engine for tests alone: own bridge, cgroup and folder; the host's firewall, routing and engine stay as they are.
#   docker_engine.sh start DIR OWNER_PID   prints "host=unix://..." and "gateway=<address of the host for containers>";
#                                          the engine is stopped by itself when OWNER_PID ends
#   docker_engine.sh image DIR NAME        imports an empty image; run it with -v /usr:/usr:ro to have the host's programs
#   docker_engine.sh stop DIR              ends engine and containers, and removes DIR
# Needs root and docker.io (dockerd, containerd, runc).
set -eu
verb=$1
dir=$2
[ "$verb" = start ] && mkdir -p -- "$dir"
[ -d "$dir" ] || exit 0
dir=$(cd "$dir" && pwd)
export DOCKER_HOST="unix://$dir/docker.sock"
# Processes that are not reaped yet count as ended.
lives() { [ -n "${1:-}" ] && [ -r "/proc/$1/stat" ] && ! grep -q ') Z' "/proc/$1/stat" 2>/dev/null; }

case $verb in
start)
  owner=$3
  bridge=
  for try in $(seq 20); do
    subnet=$((RANDOM % 200 + 20))
    ip -br address | grep -q "10\.213\.$subnet\." && continue
    name="dstest$subnet"
    ip link add "$name" type bridge 2>/dev/null || continue
    bridge=$name
    break
  done
  [ -n "$bridge" ] || { echo "no free bridge after $try attempts" >&2; exit 1; }
  echo "$bridge" >"$dir/bridge"
  # As the engine does for its own: else the bridge takes another address whenever a container ends, and those that are
  # left do not reach it until they have noticed.
  ip link set "$bridge" address "$(printf '02:42:0a:d5:%02x:01' "$subnet")"
  ip address add "10.213.$subnet.1/24" dev "$bridge"
  ip link set "$bridge" up
  echo '{}' >"$dir/daemon.json"
  dockerd --host "$DOCKER_HOST" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
    --config-file "$dir/daemon.json" --bridge "$bridge" --host-gateway-ip "10.213.$subnet.1" \
    --cgroup-parent "/$bridge" --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    --userland-proxy=false >"$dir/dockerd.log" 2>&1 </dev/null &
  daemon=$!
  for _ in $(seq 300); do
    if docker version >/dev/null 2>&1; then
      # Nothing outlives its test, even when that is killed.
      setsid /bin/bash "$0" outlive "$dir" "$owner" >/dev/null 2>&1 </dev/null &
      printf 'host=%s\ngateway=10.213.%s.1\n' "$DOCKER_HOST" "$subnet"
      exit 0
    fi
    lives "$daemon" || break
    sleep 0.1
  done
  tail -20 "$dir/dockerd.log" >&2
  /bin/bash "$0" stop "$dir"
  exit 1
  ;;
outlive)
  while lives "$3" && [ -e "$dir/docker.pid" ]; do sleep 1; done
  exec /bin/bash "$0" stop "$dir"
  ;;
image)
  skeleton=$dir/skeleton
  mkdir -p "$skeleton"/{etc,usr,tmp,root,home,run,proc,sys,dev,sbin,var/tmp}
  chmod 1777 "$skeleton/tmp" "$skeleton/var/tmp"
  # The engine puts its own init into /sbin, which must not lie under the mounted /usr.
  for link in bin lib lib64; do ln -sfn "usr/$link" "$skeleton/$link"; done
  printf 'root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000:agent:/home:/bin/bash\n' >"$skeleton/etc/passwd"
  printf 'root:x:0:\nagent:x:1000:\n' >"$skeleton/etc/group"
  echo 'hosts: files dns' >"$skeleton/etc/nsswitch.conf"
  tar -C "$skeleton" -c . | docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - "$3"
  ;;
stop)
  if lives "$(cat "$dir/docker.pid" 2>/dev/null)"; then
    left=$(timeout 10 docker ps -aq 2>/dev/null || true)
    # shellcheck disable=SC2086
    [ -z "$left" ] || timeout 30 docker rm -f $left >/dev/null 2>&1 || true
    pid=$(cat "$dir/docker.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
      lives "$pid" || break
      sleep 0.1
    done
    ! lives "$pid" || kill -9 "$pid"
  fi
  rm -f "$dir/docker.pid"
  umount "$dir/exec/netns/default" 2>/dev/null || true
  awk -v d="$dir/" 'index($2, d) == 1 { print $2 }' /proc/mounts | sort -r |
    while read -r mount; do umount "$mount" 2>/dev/null || true; done
  bridge=$(cat "$dir/bridge" 2>/dev/null || true)
  if [ -n "$bridge" ]; then
    ip link delete "$bridge" 2>/dev/null || true
    for group in /sys/fs/cgroup/*/"$bridge" /sys/fs/cgroup/"$bridge"; do
      [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    done
  fi
  rm -rf -- "$dir"
  ;;
*)
  echo "usage: docker_engine.sh start DIR OWNER_PID | image DIR NAME | stop DIR" >&2
  exit 2
  ;;
esac
