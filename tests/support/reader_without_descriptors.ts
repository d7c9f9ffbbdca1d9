/**
 * Reads a hook event of a container once with no file descriptor left, and once after all were let go; prints what
 * each said. Alone in a process, since the limit is a process's.
 */

import { HookLog } from "../../backends/claude/hook_log.ts";
import { markShared, openShared, reachReader } from "../../backends/docker/shared_files.ts";

const [folder, name] = Deno.args;
if (folder === undefined || name === undefined) throw new Error("FOLDER and NAME are missing");
markShared(folder);
const log = new HookLog(folder);

function said(look: () => unknown): string {
  try {
    const found = look();
    return found === null || found === false ? "none" : "there";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

function look() {
  return {
    event: said(() => log.read(name!)),
    file: said(() => openShared(`${folder}/${name}`, folder!)),
    reader: said(() => reachReader(`${folder}/none`, null)),
  };
}

// Loads what reads, which takes descriptors of its own.
openShared(`${folder}/none`, folder);
const held: Deno.FsFile[] = [];
for (let left = 100_000; left > 0; left--) {
  try {
    held.push(Deno.openSync(folder));
  } catch {
    break;
  }
}
const before = look();
for (const file of held) file.close();
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify({ before, after: look() })));
