#!/bin/bash
# A second host for tests: this machine's own systemd, sshd and tmux on a throw-away overlay of `/`, in namespaces of
# their own, reached over a veth pair. Root only; needs openssh-server, iproute2, systemd. Nothing of it outlives `stop`.
#
#   second_host.sh start DIR PUBLIC_KEY   prints the address; user `dev` (uid 1999, lingering) accepts the key
#   second_host.sh exec DIR COMMAND...    as root inside
#   second_host.sh link DIR up|down       its network
#   second_host.sh reboot DIR             what is on its disk stays
#   second_host.sh stop DIR

set -eu
here=$(cd "$(dirname "$0")" && pwd)
verb=${1:?} dir=$(mkdir -p "${2:?}" && cd "$2" && pwd)
shift 2

BOOT_LOOKS=300
END_LOOKS=150
BASE_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Services of this machine that a test host has no use for.
UNWANTED="systemd-sysctl docker containerd podman podman-auto-update podman-restart postgresql cron nginx apache2
  redis-server mariadb rabbitmq-server apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all logrotate"

alive() { [ -e "/proc/$1" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

# The pid of the host's systemd, as this machine counts; empty while it is down.
init() {
  local launcher
  launcher=$(cat "$dir/launcher.pid" 2>/dev/null) || return 0
  if [ -n "$launcher" ] && alive "$launcher"; then pgrep -P "$launcher" | head -n 1; fi
}

inside() {
  local pid
  pid=$(init)
  [ -n "$pid" ] || { echo "the second host in $dir is down" >&2; return 1; }
  nsenter -t "$pid" -m -p -u -i -n -C env -i "PATH=$BASE_PATH" HOME=/root "$@"
}

# A process that does nothing but keep the disk's mount namespace.
keep_disk() {
  mkdir -p "$dir/disk"
  # shellcheck disable=SC2016 # for the inner shell
  setsid unshare -m sh -euc '
    mount --make-rprivate /
    mount -t tmpfs -o size=3g tmpfs "$1"
    mkdir "$1/upper" "$1/work" "$1/root"
    : >"$1/ready"
    exec sleep 3600
  ' sh "$dir/disk" >"$dir/keeper.log" 2>&1 </dev/null &
  echo $! >"$dir/keeper.pid"
  local looks=0
  until nsenter -t "$(cat "$dir/keeper.pid")" -m test -e "$dir/disk/ready" 2>/dev/null; do
    looks=$((looks + 1))
    [ "$looks" -lt 100 ] || { cat "$dir/keeper.log" >&2; exit 1; }
    sleep 0.05
  done
}

boot() {
  local cgroup=/sys/fs/cgroup/unified looks=0
  [ -d "$cgroup" ] || cgroup=/sys/fs/cgroup
  cgroup=$cgroup/dev-sessions-test-$$
  mkdir -p "$cgroup"
  echo "$cgroup" >>"$dir/cgroups"
  # shellcheck disable=SC2016 # for the inner shell
  DISK=$dir/disk UNWANTED=$UNWANTED KEY=$(cat "$dir/key") CGROUP=$cgroup \
    nsenter -t "$(cat "$dir/keeper.pid")" -m setsid bash -c '
      echo $$ >"$CGROUP/cgroup.procs"
      exec unshare -m -p -f -u -i -n -C bash "$1"
    ' bash "$here/second_host_boot.sh" >"$dir/boot.log" 2>&1 </dev/null &
  echo $! >"$dir/launcher.pid"
  until inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; do
    looks=$((looks + 1))
    [ "$looks" -lt "$BOOT_LOOKS" ] || { tail -n 20 "$dir/boot.log" >&2; exit 1; }
    sleep 0.1
  done
  connect
}

connect() {
  local n pid
  n=$(cat "$dir/number")
  pid=$(init)
  ip link del "dsth$n" 2>/dev/null || true
  ip link add "dsth$n" type veth peer name "dstg$n" netns "$pid"
  ip addr add "10.214.$n.1/30" dev "dsth$n"
  ip link set "dsth$n" up
  nsenter -t "$pid" -n sh -c "ip addr add 10.214.$n.2/30 dev dstg$n && ip link set dstg$n up"
}

halt() {
  local pid looks=0
  pid=$(init)
  [ -n "$pid" ] || return 0
  inside systemctl poweroff >/dev/null 2>&1 || true
  while alive "$pid"; do
    looks=$((looks + 1))
    if [ "$looks" -ge "$END_LOOKS" ]; then
      kill -KILL "$pid" 2>/dev/null || true
      break
    fi
    sleep 0.1
  done
}

forget_cgroups() {
  [ -e "$dir/cgroups" ] || return 0
  local looks=0
  while read -r cgroup; do
    until [ ! -d "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null; do
      looks=$((looks + 1))
      [ "$looks" -lt 30 ] || break
      sleep 0.1
    done
  done <"$dir/cgroups"
}

case $verb in
start)
  cp "${1:?a public key}" "$dir/key"
  echo $(($$ % 250)) >"$dir/number"
  keep_disk
  boot
  echo "10.214.$(cat "$dir/number").2"
  ;;
exec) inside "$@" ;;
link) nsenter -t "$(init)" -n ip link set "dstg$(cat "$dir/number")" "$1" ;;
reboot)
  halt
  boot
  ;;
stop)
  halt
  [ -e "$dir/keeper.pid" ] && kill "$(cat "$dir/keeper.pid")" 2>/dev/null
  ip link del "dsth$(cat "$dir/number")" 2>/dev/null || true
  forget_cgroups
  ;;
*)
  sed -n '2,9p' "$0" >&2
  exit 2
  ;;
esac
