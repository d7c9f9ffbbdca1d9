/** Files in folders that a container can write to: what is read, and what never is. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  markShared,
  openShared,
  reachReader,
  readSharedText,
  readText,
  sharedFolderOf,
} from "../../backends/docker/shared_files.ts";

Deno.test("only regular files that really are in the folder are read", async (t) => {
  const root = await Deno.makeTempDir();
  try {
    const shared = join(root, "shared");
    await Deno.mkdir(join(shared, "inner"), { recursive: true });
    await Deno.writeTextFile(join(root, "secret"), "secret");
    await Deno.writeTextFile(join(shared, "own"), "own");
    await Deno.writeTextFile(join(shared, "inner", "own"), "inner");
    await Deno.symlink(join(root, "secret"), join(shared, "link"));
    await Deno.symlink(join(shared, "own"), join(shared, "link-inside"));
    await Deno.symlink(root, join(shared, "folder"));
    await new Deno.Command("mkfifo", { args: [join(shared, "pipe")] }).output();
    using large = await Deno.create(join(shared, "large"));
    await large.truncate(3 * 1024 ** 3);
    const rows: readonly (readonly [string, string | null])[] = [
      ["own", "own"],
      ["inner/own", "inner"],
      ["link", null],
      ["link-inside", null],
      ["folder/secret", null],
      ["pipe", null],
      ["inner", null],
      ["large", null],
      ["none", null],
    ];
    for (const [name, expected] of rows) {
      await t.step(name, () => {
        strictEqual(readSharedText(join(shared, name), shared), expected);
        const file = openShared(join(shared, name), shared);
        strictEqual(file !== null, expected !== null);
        file?.close();
      });
    }
    await t.step("once it is known as shared, whoever reads", () => {
      strictEqual(readText(join(shared, "link")), "secret");
      markShared(shared);
      strictEqual(sharedFolderOf(join(shared, "link")), shared);
      strictEqual(sharedFolderOf(`${shared}-other/link`), null);
      throws(() => readText(join(shared, "link")), Deno.errors.NotFound);
      strictEqual(readText(join(shared, "own")), "own");
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("a pipe is written to only while somebody reads it, and nothing else ever is", async () => {
  const root = await Deno.makeTempDir();
  try {
    const [pipe, file, link] = ["pipe", "file", "link"].map((name) => join(root, name)) as [
      string,
      string,
      string,
    ];
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    await Deno.writeTextFile(file, "untouched");
    await Deno.symlink(file, link);
    for (const path of [pipe, file, link, join(root, "none")]) {
      strictEqual(reachReader(path, "x\n"), false, path);
    }
    strictEqual(await Deno.readTextFile(file), "untouched");
    const reader = new Deno.Command("sh", {
      args: ["-c", `exec 3<>"$0"; echo ready; read -r word <&3; echo "$word"`, pipe],
      stdout: "piped",
    }).spawn();
    const lines = reader.stdout.pipeThrough(new TextDecoderStream()).getReader();
    strictEqual((await lines.read()).value, "ready\n");
    strictEqual(reachReader(pipe, null), true);
    strictEqual(reachReader(pipe, "answer\n"), true);
    strictEqual((await lines.read()).value, "answer\n");
    await lines.cancel();
    await reader.status;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("what can't be opened for want of descriptors is not taken for gone", async () => {
  const root = await Deno.makeTempDir();
  try {
    const name = "1767323045000000000-1.Stop.json";
    await Deno.writeTextFile(join(root, name), '{"hook_event_name":"Stop"}');
    const program = fileURLToPath(new URL("../support/reader_without_descriptors.ts", import.meta.url));
    const { stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", 'ulimit -n 256; exec "$@"', "sh", Deno.execPath(), "run", "-A", program, root, name],
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    strictEqual(decoder.decode(stderr), "");
    deepStrictEqual(JSON.parse(decoder.decode(stdout)), {
      before: { event: "none", file: "EMFILE", reader: "EMFILE" },
      after: { event: "there", file: "there", reader: "none" },
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
