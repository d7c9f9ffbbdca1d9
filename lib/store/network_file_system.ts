/** Tells whether a folder lies on a file system on which SQLite's shared memory (WAL) can't be relied on. */

export interface Mount {
  readonly point: string;
  readonly type: string;
}

/** Shared between machines, or between a virtual machine and its host. `fuse.*` counts as well, whatever is behind it. */
const SHARED_TYPES: ReadonlySet<string> = new Set([
  ...["nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "afpfs", "webdav", "davfs", "ceph"],
  ...["lustre", "glusterfs", "gfs2", "ocfs2", "gpfs", "beegfs", "9p", "virtiofs", "vboxsf", "prl_fs"],
  ...["fakeowner", "fuse", "macfuse", "osxfuse"],
]);

/** Whether this type of file system is shared with other kernels. */
export function isSharedType(type: string): boolean {
  return SHARED_TYPES.has(type) || type.startsWith("fuse.");
}

/** Reads `/proc/self/mountinfo`. Source: proc_pid_mountinfo(5). */
export function parseMountInfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const [before = "", after = ""] = line.split(" - ", 2);
    const point = before.split(" ")[4];
    const type = after.split(" ")[0];
    if (point && type) mounts.push({ point: unescapeOctal(point), type });
  }
  return mounts;
}

/** Reads the output of macOS's `mount`: `//me@host/share on /Volumes/share (smbfs, nodev, mounted by me)`. */
export function parseMountOutput(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const match = /^.*? on (\/.*) \(([^,()]+)[^()]*\)$/.exec(line);
    if (match?.[1] && match[2]) mounts.push({ point: match[1], type: match[2].trim() });
  }
  return mounts;
}

/** The mount that holds an absolute path without symbolic links; of several at one point the last covers the others. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | null {
  let best: Mount | null = null;
  for (const mount of mounts) {
    const prefix = mount.point.endsWith("/") ? mount.point : `${mount.point}/`;
    if (path !== mount.point && !path.startsWith(prefix)) continue;
    if (best === null || mount.point.length >= best.point.length) best = mount;
  }
  return best;
}

/** Whether the folder lies on such a file system; true when that can't be told, since a rollback journal works anywhere. */
export function isOnNetworkFileSystem(folder: string): boolean {
  try {
    const mounts = Deno.build.os === "linux"
      ? parseMountInfo(Deno.readTextFileSync("/proc/self/mountinfo"))
      : parseMountOutput(mountOutput());
    const mount = mountOf(Deno.realPathSync(folder), mounts);
    return mount === null || isSharedType(mount.type);
  } catch {
    return true;
  }
}

function mountOutput(): string {
  const { stdout } = new Deno.Command("/sbin/mount", { stdin: "null", stderr: "null" }).outputSync();
  return new TextDecoder().decode(stdout);
}

function unescapeOctal(text: string): string {
  return text.replace(
    /\\([0-7]{3})/g,
    (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
