/**
 * Stands between a client and a `dev-sessions rpc`, and does something to the answers to an operation:
 * `frame_filter.ts <command line> <operation> lose` breaks the connection instead of the first one,
 * `frame_filter.ts <command line> <operation> add <JSON>` adds to the list `failed` of each result;
 * `frame_filter.ts <command line> <operation> refuse <JSON>` gives this error instead of the first one.
 */

import { MAX_FRAME_BYTES } from "../../gateway/frames.ts";
import { linesOf } from "../../gateway/lines.ts";

const [line = "", operation = "", what = "", added = ""] = Deno.args;
const child = new Deno.Command("sh", { args: ["-c", line], stdin: "piped", stdout: "piped" }).spawn();
const encoder = new TextEncoder();
let refused = false;
const asked = new Set<number>();

// deno-lint-ignore no-explicit-any
function frameOf(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

async function up(): Promise<void> {
  const writer = child.stdin.getWriter();
  for await (const text of linesOf(Deno.stdin.readable, MAX_FRAME_BYTES)) {
    const frame = frameOf(text);
    if (frame.type === "request" && frame.operation === operation) asked.add(frame.id);
    await writer.write(encoder.encode(`${text}\n`));
  }
  await writer.close();
}

void up().catch(() => {});
for await (const text of linesOf(child.stdout, MAX_FRAME_BYTES)) {
  const frame = frameOf(text);
  const isAnswer = frame.type === "result" && asked.has(frame.id);
  if (isAnswer && what === "lose") {
    child.kill("SIGKILL");
    await child.status;
    Deno.exit(255);
  }
  let said = frame;
  if (isAnswer && what === "add") frame.value.failed.push(JSON.parse(added));
  if (isAnswer && what === "refuse" && !refused) {
    refused = true;
    said = { type: "error", id: frame.id, error: JSON.parse(added) };
  }
  await Deno.stdout.write(encoder.encode(`${isAnswer ? JSON.stringify(said) : text}\n`));
}
Deno.exit((await child.status).code);
