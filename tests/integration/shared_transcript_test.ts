/** A transcript that a container writes to: what no agent writes is neither collected nor parsed, and hides nothing else. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { CallRecords } from "../../backends/claude/call_records.ts";
import { lastAssistantTexts, tailMarks } from "../../backends/claude/conversation.ts";
import {
  entries,
  MAX_SHARED_LINE_BYTES,
  readBackwards,
  readForwards,
} from "../../backends/claude/transcript_file.ts";
import type { Mark } from "../../backends/claude/transcript.ts";
import { LOOK_WEIGHT, TEXT_WEIGHT, weightOf } from "../../backends/docker/allowance.ts";
import { markShared } from "../../backends/docker/shared_files.ts";
import { meterParsing } from "../support/parse_meter.ts";

const MB = 1024 * 1024;

const reply = (text: string, more = "") =>
  `{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"${text}"}]}${more}}\n`;
/** Of many small values. */
const heavy = (bytes: number) => reply("heavy", `,"z":[${"{},".repeat(bytes / 3)}{}]`);
const textOf = (mark: Mark) => mark.kind === "assistant_text" ? mark.text : mark.kind;

class Transcript implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "ds-shared-" });
  readonly path: string;

  constructor(kind: "shared" | "own" = "shared") {
    this.path = join(this.folder, "t.jsonl");
    if (kind === "shared") markShared(this.folder);
    Deno.writeTextFileSync(this.path, "");
  }

  append(text: string): this {
    Deno.writeTextFileSync(this.path, text, { append: true });
    return this;
  }

  /** A hole of zeros: a line as long as one likes, for nothing. */
  appendHole(bytes: number): this {
    Deno.truncateSync(this.path, Deno.statSync(this.path).size + bytes);
    return this;
  }

  backwards(): { texts: string[]; offset: number } {
    const texts: string[] = [];
    const read = readBackwards(this.path, (mark) => {
      texts.unshift(textOf(mark));
      return "continue";
    });
    ok(read.result !== "missing");
    return { texts, offset: read.offset };
  }

  forwards(from = 0): { texts: string[]; offset: number; more: boolean } {
    const texts: string[] = [];
    const read = readForwards(this.path, from, (mark) => {
      texts.push(textOf(mark));
      return "continue";
    });
    ok(read.result === "read");
    return { texts, offset: read.offset, more: read.more === true };
  }

  async streamed(): Promise<string[]> {
    return (await Array.fromAsync(entries(this.path))).map(textOf);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("a line of 240 MB is passed over in both directions, and nothing of it is collected", async () => {
  using file = new Transcript();
  file.append(reply("before")).appendHole(240 * MB).append(`\n${reply("after")}`);
  const parsed = await meterParsing(async () => {
    deepStrictEqual(file.backwards().texts, ["before", "after"]);
    const { texts, offset } = file.forwards();
    deepStrictEqual(texts, ["before", "after"]);
    strictEqual(offset, Deno.statSync(file.path).size);
    deepStrictEqual(await file.streamed(), ["before", "after"]);
    deepStrictEqual(lastAssistantTexts(file.path, 2).texts, ["before", "after"]);
  });
  ok(parsed.longestBytes < MB, `${parsed.longestBytes} bytes were decoded at once`);
});

Deno.test("a line that is too long and has no end is not read again while it grows", async () => {
  using file = new Transcript();
  file.append(reply("before")).appendHole(MAX_SHARED_LINE_BYTES + 1);
  const size = Deno.statSync(file.path).size;
  const parsed = await meterParsing(() => {
    deepStrictEqual(file.backwards(), { texts: ["before"], offset: size });
    deepStrictEqual(file.forwards(), { texts: ["before"], offset: size, more: false });
    strictEqual(tailMarks(file.path, { maxBytes: 2 * MB }).marks.length, 0);
  });
  ok(parsed.longestBytes < MB);
  file.appendHole(10).append(`\n${reply("after")}`);
  deepStrictEqual(file.forwards(size).texts, ["after"]);
});

Deno.test("a line of the longest kind that Claude writes is read", async () => {
  using file = new Transcript();
  const text = "x".repeat(MAX_SHARED_LINE_BYTES - 1000);
  file.append(reply(text));
  deepStrictEqual(file.backwards().texts, [text]);
  deepStrictEqual(file.forwards().texts, [text]);
  deepStrictEqual(await file.streamed(), [text]);
});

Deno.test("JSON of millions of small values is never parsed, whatever its length", async () => {
  using file = new Transcript();
  file.append(reply("before") + heavy(2 * MB) + heavy(15 * MB) + reply("after"));
  const parsed = await meterParsing(async () => {
    deepStrictEqual(file.backwards().texts, ["before", "after"]);
    deepStrictEqual(file.forwards().texts, ["before", "after"]);
    deepStrictEqual(await file.streamed(), ["before", "after"]);
    file.append(heavy(15 * MB).trimEnd());
    deepStrictEqual(file.forwards().texts, ["before", "after"]);
    deepStrictEqual(file.backwards().texts, ["before", "after"]);
  });
  ok(parsed.longestText < 1000, `a text of ${parsed.longestText} was parsed`);
});

Deno.test("many lines are read in several looks, none of which parses more than it may; none is lost", async () => {
  using file = new Transcript();
  const line = reply("line", `,"z":[${"{},".repeat(30_000)}{}]`);
  const each = weightOf(line.trimEnd());
  ok(each < TEXT_WEIGHT);
  const inOneLook = Math.floor(LOOK_WEIGHT / each);
  const lines = inOneLook * 2 + 1;
  for (let i = 0; i < lines; i++) file.append(line);
  const looks: number[] = [];
  for (let from = 0, more = true; more;) {
    const parsed = await meterParsing(() => {
      const read = file.forwards(from);
      looks.push(read.texts.length);
      from = read.offset;
      more = read.more;
    });
    ok(parsed.texts <= inOneLook, `${parsed.texts} lines were parsed in one look`);
  }
  deepStrictEqual(looks, [inOneLook, inOneLook, 1]);
  // Each has its end looked at, and is read once more.
  ok((await meterParsing(() => file.backwards())).texts <= inOneLook + 1);
  strictEqual((await file.streamed()).length, lines);
});

Deno.test("lines of nothing have their price, too", () => {
  using file = new Transcript();
  file.append(reply("before")).append("\n".repeat(3 * MB)).append(reply("after"));
  deepStrictEqual(file.backwards().texts, ["after"]);
  const { texts, more } = file.forwards();
  deepStrictEqual({ texts, more }, { texts: ["before"], more: true });
});

Deno.test("a call's records are read on past a line that is none of an agent's", async () => {
  using file = new Transcript();
  const records = new CallRecords(file.path, { tool: "Bash", input: { command: "x" } });
  file.append(
    `{"type":"assistant","message":{"content":[{"type":"tool_use","id":"1","name":"Bash",` +
      `"input":{"command":"x"}}]}}\n`,
  ).appendHole(100 * MB).append("\n").append(heavy(3 * MB));
  const parsed = await meterParsing(() => strictEqual(records.news(), null));
  ok(parsed.longestBytes < 4 * MB && parsed.longestText < 1000);
  file.append(
    '{"type":"user","toolDenialKind":"user-rejected","message":{"content":[{"type":"tool_result","tool_use_id":"1"}]}}\n',
  );
  strictEqual(records.news()?.by, "rejected");
});

Deno.test("what no container writes to is read as before, however long its lines are", async () => {
  using file = new Transcript("own");
  const text = "x".repeat(MAX_SHARED_LINE_BYTES + 1);
  file.append(reply(text) + heavy(2 * MB));
  deepStrictEqual(file.backwards().texts, [text, "heavy"]);
  deepStrictEqual(file.forwards().texts, [text, "heavy"]);
  deepStrictEqual(await file.streamed(), [text, "heavy"]);
});
