#!/bin/bash
# Run by second_host.sh in new namespaces, as their first process: makes the root file system and becomes systemd.
# DISK is a folder on a tmpfs; UNWANTED units are masked; KEY may log in as `dev`.

set -eu

mount --make-rprivate /
root=$DISK/root
first=false
[ -e "$DISK/upper/etc/hostname" ] || first=true
mount -t overlay overlay -o "lowerdir=/,upperdir=$DISK/upper,workdir=$DISK/work" "$root"
mount -t proc proc "$root/proc"
# As on a host of its own: another boot has another id.
cat /proc/sys/kernel/random/uuid >"$DISK/boot_id"
mount --bind "$DISK/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount --rbind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
if $first; then
  echo second-host >"$root/etc/hostname"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  rm -f "$root/var/lib/dbus/machine-id"
  for unit in $UNWANTED; do ln -sf /dev/null "$root/etc/systemd/system/$unit.service"; done
  for unit in docker podman; do ln -sf /dev/null "$root/etc/systemd/system/$unit.socket"; done
  chroot "$root" useradd -m -s /bin/bash -u 1999 dev
  mkdir -p "$root/home/dev/.ssh" "$root/etc/ssh/sshd_config.d" "$root/var/lib/systemd/linger"
  echo "$KEY" >"$root/home/dev/.ssh/authorized_keys"
  chown -R 1999:1999 "$root/home/dev/.ssh"; chmod 700 "$root/home/dev/.ssh"
  rm -rf "$root"/etc/ssh/sshd_config.d/*
  printf "PasswordAuthentication no\nUsePAM yes\nPermitRootLogin no\nMaxStartups 100\n" >"$root/etc/ssh/sshd_config.d/test.conf"
  touch "$root/var/lib/systemd/linger/dev"
fi
hostname second-host
ip link set lo up
cd "$root"; mkdir -p .old; pivot_root . .old; umount -l /.old
exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
  /lib/systemd/systemd systemd.unified_cgroup_hierarchy=1
