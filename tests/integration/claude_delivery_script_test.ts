/** The command file of a delivery, read by a real tmux: what the pane gets is the message, to the byte. */

import { ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { deliveryScript, guardText } from "../../backends/claude/delivery_plan.ts";
import { randomText, seededRandom } from "../support/random_text.ts";

async function tmux(socket: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("tmux", {
    args: ["-u", "-f", "/dev/null", "-S", socket, ...args],
    env: { LC_ALL: "C.UTF-8" },
  }).output();
  const text = new TextDecoder();
  strictEqual(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

Deno.test("deliveryScript() types the guarded message to the byte, from copy mode, too", async () => {
  const folder = await Deno.makeTempDir();
  const socket = join(folder, "s");
  const typed = join(folder, "typed");
  try {
    // Raw, so that the Enter is one CR; `paste-buffer -r` leaves line feeds as they are.
    const pane = (await tmux(
      socket,
      "new-session",
      "-d",
      "-P",
      "-F",
      "#{pane_id}",
      `stty raw -echo; echo ready; exec cat >'${typed}'`,
    )).trim();
    for (let looks = 0; !(await tmux(socket, "capture-pane", "-p", "-t", pane)).includes("ready"); looks++) {
      ok(looks < 1_000, "the program in the pane has not started");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const random = seededRandom(3);
    const messages = [
      'it\'s a "test"; $HOME `x` #{pane_id} #(date) %if \\',
      "ends with ;",
      "-n",
      "~ {x} }\n%end\n# no comment\n",
      "'",
      "!ls",
      ...Array.from({ length: 12 }, () => randomText(random, 900)),
    ];
    let expected = "";
    for (const [index, message] of messages.entries()) {
      if (index % 2 === 1) await tmux(socket, "copy-mode", "-t", pane);
      const file = join(folder, "delivery.tmux");
      await Deno.writeTextFile(file, deliveryScript(pane, message, "b").script);
      await tmux(socket, "source-file", file);
      expected += `${guardText(message)}\r`;
      for (let left = 500; left > 0 && read(typed).length < bytes(expected); left--) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      strictEqual(new TextDecoder().decode(read(typed)), expected, JSON.stringify(message));
    }
    strictEqual(await tmux(socket, "list-buffers"), "", "no buffer is left");
  } finally {
    await new Deno.Command("tmux", { args: ["-S", socket, "kill-server"], stderr: "null" }).output();
    await Deno.remove(folder, { recursive: true });
  }
});

function read(path: string): Uint8Array {
  try {
    return Deno.readFileSync(path);
  } catch {
    return new Uint8Array();
  }
}

const bytes = (text: string) => new TextEncoder().encode(text).length;
