import assert from "node:assert/strict";
import {
  isSharedType,
  mountOf,
  parseMountInfo,
  parseMountOutput,
} from "../../lib/store/network_file_system.ts";

const MOUNTINFO = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /home rw,relatime shared:1 master:2 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/me/my\\040disk rw - cifs //nas/disk rw
32 22 0:42 / /mnt rw - ext4 /dev/vdb rw
33 22 0:43 / /mnt rw - fuse.sshfs me@host:/ rw
34 22 0:44 / /homes rw - xfs /dev/vdc rw
broken line
`;

Deno.test("parseMountInfo() and mountOf() find the mount that holds a path", () => {
  const mounts = parseMountInfo(MOUNTINFO);
  assert.equal(mounts.length, 7);
  const table: [path: string, type: string][] = [
    ["/", "ext4"],
    ["/root/.dev-sessions", "ext4"],
    ["/home", "nfs4"],
    ["/home/me/.dev-sessions", "nfs4"],
    ["/home/me/my disk/x", "cifs"],
    ["/home/me/my diskette", "nfs4"],
    ["/homes/me", "xfs"],
    ["/mnt/x", "fuse.sshfs"],
  ];
  for (const [path, type] of table) assert.equal(mountOf(path, mounts)?.type, type, path);
  assert.equal(mountOf("/x", []), null);
});

Deno.test("parseMountOutput() reads what macOS prints", () => {
  const mounts = parseMountOutput(`/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
//me@nas._smb._tcp.local/team on /Volumes/team share (1) (smbfs, nodev, nosuid, mounted by me)
`);
  assert.deepEqual(mounts, [
    { point: "/", type: "apfs" },
    { point: "/dev", type: "devfs" },
    { point: "/System/Volumes/Data", type: "apfs" },
    { point: "/System/Volumes/Data/home", type: "autofs" },
    { point: "/Volumes/team share (1)", type: "smbfs" },
  ]);
});

Deno.test("isSharedType() knows the file systems on which WAL fails", () => {
  const shared = ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afpfs", "smbfs", "virtiofs", "fuse.x"];
  const local = ["ext4", "xfs", "btrfs", "zfs", "apfs", "tmpfs", "overlay", "fuseblk", "hfs"];
  assert.deepEqual(shared.filter((type) => !isSharedType(type)), []);
  assert.deepEqual(local.filter(isSharedType), []);
});
