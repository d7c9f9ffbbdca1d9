/** Tokens of a session's transcripts are counted once, whatever was read before and whatever happens to the files. */

import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { dirname, join } from "node:path";
import { MAX_SHARED_LINE_BYTES } from "../../backends/claude/transcript_file.ts";
import { sessionUsage, type SharedLimits } from "../../backends/claude/usage_file.ts";
import { markShared } from "../../backends/docker/shared_files.ts";
import { meterParsing } from "../support/parse_meter.ts";

const pause = () => Promise.resolve();

interface Files {
  readonly index: string;
  readonly transcript: string;
  /** Output tokens of all transcripts. */
  output(...more: string[]): Promise<number | null>;
  append(text: string, path?: string): void;
}

async function withFiles(body: (files: Files) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "usage" });
  const [index, transcript] = [join(folder, "usage.json"), join(folder, "one.jsonl")];
  try {
    await body({
      index,
      transcript,
      output: async (...more) => (await sessionUsage(index, [transcript, ...more], pause))?.output ?? null,
      append: (text, path = transcript) => Deno.writeTextFileSync(path, text, { append: true }),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const line = (id: string, output: number) =>
  `{"type":"assistant","message":{"id":"${id}","usage":{"input_tokens":1,"output_tokens":${output}}}}\n`;
const noise = (bytes: number) => `{"type":"user","message":{"content":"${"x".repeat(bytes)}"}}\n`;

Deno.test("usage grows with the transcript, and a line counts once it is whole", () =>
  withFiles(async ({ index, transcript, output, append }) => {
    strictEqual(await output(), null);
    append(noise(100));
    strictEqual(await output(), null);
    append(line("a", 5) + line("b", 7).slice(0, 40));
    strictEqual(await output(), 5);
    append(line("b", 7).slice(40));
    strictEqual(await output(), 12);
    // The last line of a reply may come later.
    append(line("b", 9));
    strictEqual(await output(), 14);
    strictEqual(Deno.statSync(index).mode! & 0o777, 0o600);
    deepStrictEqual([...Deno.readDirSync(join(index, ".."))].map(({ name }) => name).sort(), [
      "one.jsonl",
      "usage.json",
    ]);
    // What has been counted stays, though Claude deletes old transcripts.
    Deno.removeSync(transcript);
    strictEqual(await output(), 14);
  }));

Deno.test("only what is new is read", () =>
  withFiles(async ({ index, transcript, output, append }) => {
    append(line("a", 5) + noise(1000));
    strictEqual(await output(), 5);
    const before = Deno.statSync(index).ino;
    strictEqual(await output(), 5);
    strictEqual(Deno.statSync(index).ino, before, "nothing new: nothing written");
    // A part that was counted is not looked at again: a change far before the end goes unnoticed.
    const file = Deno.openSync(transcript, { write: true });
    file.writeSync(new TextEncoder().encode(line("c", 9)));
    file.close();
    append(line("b", 7));
    strictEqual(await output(), 12);
    notStrictEqual(Deno.statSync(index).ino, before);
  }));

Deno.test("another file under the same name is counted anew", () =>
  withFiles(async ({ transcript, output, append }) => {
    append(line("a", 5) + line("b", 7));
    strictEqual(await output(), 12);
    Deno.writeTextFileSync(transcript, line("c", 3));
    strictEqual(await output(), 3);
    Deno.writeTextFileSync(transcript, line("d", 1) + noise(2000) + line("e", 2));
    strictEqual(await output(), 3);
  }));

Deno.test("an index that can't be read, or is another version's, is made anew", () =>
  withFiles(async ({ index, output, append }) => {
    append(line("a", 5));
    for (const text of ["", "{", '{"version":2}', '{"version":1,"files":{},"seen":[1],"replies":-1}']) {
      Deno.writeTextFileSync(index, text);
      strictEqual(await output(), 5);
      append(noise(10));
    }
  }));

Deno.test("sub-agents and further conversations belong to it, and a reply that two of them have counts once", () =>
  withFiles(async ({ transcript, output, append }) => {
    append(line("a", 5));
    const agents = transcript.replace(".jsonl", "/subagents");
    Deno.mkdirSync(agents, { recursive: true });
    append(line("s", 100), `${agents}/agent-1.jsonl`);
    append('{"agentType":"Explore"}', `${agents}/agent-1.meta.json`);
    const second = transcript.replace("one", "two");
    append(line("a", 5) + line("b", 1000), second);
    strictEqual(await output(second), 1105);
    append(line("s", 200) + line("t", 1), `${agents}/agent-1.jsonl`);
    strictEqual(await output(second), 1206);
  }));

Deno.test("lines across the blocks of a long transcript are whole", () =>
  withFiles(async ({ output, append }) => {
    for (let i = 0; i < 40; i++) append(noise(300_000 + i) + line(`r${i}`, 1));
    // Longer than a block.
    append(noise(9_000_000) + line("last", 2));
    strictEqual(await output(), 42);
  }));

Deno.test("a folder that can't be written is no reason not to count", () =>
  withFiles(async ({ transcript, append }) => {
    append(line("a", 5));
    strictEqual((await sessionUsage(join(transcript, "usage.json"), [transcript], pause))?.output, 5);
  }));

Deno.test("of a container's transcript, lines that no agent writes are passed over, and other things done between blocks", () =>
  withFiles(async ({ index, transcript, append }) => {
    markShared(dirname(transcript));
    append(line("a", 5) + noise(3_000_000));
    Deno.truncateSync(transcript, Deno.statSync(transcript).size + 60_000_000);
    append("\n" + line("b", 7));
    append(line("c", 9).replace('"input_tokens"', `"z":[${"{},".repeat(300_000)}{}],"input_tokens"`));
    append(line("d", 11));
    let pauses = 0;
    const parsed = await meterParsing(async () => {
      const usage = await sessionUsage(index, [transcript], () => Promise.resolve(void pauses++));
      strictEqual(usage?.output, 5 + 7 + 11);
    });
    ok(parsed.longestText < 1_000, `a text of ${parsed.longestText} was parsed`);
    ok(parsed.longestBytes <= MAX_SHARED_LINE_BYTES && pauses > 3, `${pauses} pauses`);
    append(line("e", 1));
    strictEqual((await sessionUsage(index, [transcript], pause))?.output, 5 + 7 + 11 + 1);
  }));

Deno.test("more than any agent writes is not counted of a container, and known at once the next time", () =>
  withFiles(async ({ index, transcript, append }) => {
    markShared(dirname(transcript));
    let pauses = 0;
    const usage = (limits?: SharedLimits) =>
      sessionUsage(index, [transcript], () => Promise.resolve(void pauses++), limits);
    append(Array.from({ length: 5_000 }, (_, i) => line(`r${i}`, 1)).join(""));
    strictEqual((await usage())?.output, 5_000);
    ok(pauses >= 5, `${pauses} pauses`);

    const limits = { replies: 4_000, files: 10 };
    Deno.removeSync(index);
    strictEqual(await usage(limits), null);
    const parsed = await meterParsing(async () => strictEqual(await usage(limits), null));
    ok(parsed.texts <= 1, "the index alone is read");

    const folder = `${transcript.replace(/\.jsonl$/, "")}/subagents`;
    Deno.mkdirSync(folder, { recursive: true });
    for (let i = 0; i < 10; i++) append(line(`s${i}`, 1), join(folder, `${i}.jsonl`));
    strictEqual(await usage({ replies: 10_000, files: 10 }), null);
    strictEqual((await usage({ replies: 10_000, files: 11 }))?.output, 5_010);
  }));
