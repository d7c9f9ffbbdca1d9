/** Transcripts are read rightly from both ends whatever lies across a block's border, and no file stays open. */

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { join } from "node:path";
import { lastAssistantTexts, tailMarks } from "../../backends/claude/conversation.ts";
import { entries, readBackwards, readForwards } from "../../backends/claude/transcript_file.ts";
import type { Mark } from "../../backends/claude/transcript.ts";

const ENCODER = new TextEncoder();
const BLOCK = 64 * 1024;

function prompt(text: string): string {
  return JSON.stringify({
    type: "user",
    message: { role: "user", content: text },
    origin: { kind: "human" },
    promptSource: "typed",
  });
}

function reply(text: string): string {
  return JSON.stringify({ message: { id: "m", content: [{ type: "text", text }] }, type: "assistant" });
}

function textOf(mark: Mark): string {
  return mark.kind === "prompt" || mark.kind === "assistant_text" ? mark.text : mark.kind;
}

async function withFile(
  content: string | Uint8Array,
  body: (path: string) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "t.jsonl");
    const bytes = typeof content === "string" ? ENCODER.encode(content) : content;
    await Deno.writeFile(path, bytes);
    await body(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface Found {
  readonly text: string;
  readonly offset: number;
}

function backwards(path: string, maxBytes?: number): Found[] {
  const found: Found[] = [];
  readBackwards(path, (mark, offset) => {
    found.push({ text: textOf(mark), offset });
    return "continue";
  }, maxBytes === undefined ? {} : { maxBytes });
  return found.reverse();
}

function forwards(path: string, from = 0): { found: Found[]; offset: number } {
  const found: Found[] = [];
  const read = readForwards(path, from, (mark, offset) => {
    found.push({ text: textOf(mark), offset });
    return "continue";
  });
  ok(read.result === "read");
  return { found, offset: read.offset };
}

async function streamed(path: string): Promise<string[]> {
  return (await Array.fromAsync(entries(path))).map(textOf);
}

Deno.test("all three readers find the same marks wherever a line meets a block's border", async () => {
  // The last line's beginning is moved over the border of the first block, byte by byte.
  const overhead = ENCODER.encode(reply("") + "\n").length;
  for (let shift = -3; shift <= 3; shift++) {
    const lines = [prompt("é漢😀"), reply("first"), reply("x".repeat(BLOCK - overhead + shift))];
    await withFile(lines.join("\n") + "\n", async (path) => {
      const expected = ["é漢😀", "first", "x".repeat(BLOCK - overhead + shift)];
      const found = backwards(path);
      deepStrictEqual(found.map(({ text }) => text), expected);
      deepStrictEqual(forwards(path).found, found);
      deepStrictEqual(await streamed(path), expected);
    });
  }
});

Deno.test("characters of several bytes survive a block's border at each of their bytes", async () => {
  for (let shift = 0; shift < 8; shift++) {
    const text = "y".repeat(shift) + "😀漢é".repeat(40_000);
    await withFile(`${prompt("go")}\n${reply(text)}\n`, async (path) => {
      deepStrictEqual(backwards(path).map(({ text }) => text), ["go", text]);
      deepStrictEqual(forwards(path).found.map(({ text }) => text), ["go", text]);
      deepStrictEqual(await streamed(path), ["go", text]);
    });
  }
});

Deno.test("lines of several MB are read whole, and offsets are the lines' beginnings", async () => {
  const lines = [
    prompt("go"),
    reply("a".repeat(5_000_000)),
    "not json",
    "",
    reply("漢".repeat(1_500_000)),
    reply("z"),
  ];
  await withFile(lines.join("\n") + "\n", async (path) => {
    const found = backwards(path);
    deepStrictEqual(found.map(({ text }) => text.length), [2, 5_000_000, 1_500_000, 1]);
    deepStrictEqual(forwards(path).found, found);
    strictEqual((await streamed(path)).length, 4);
    for (const { text, offset } of found) strictEqual(forwards(path, offset).found[0]?.text, text);
  });
});

Deno.test("CRLF, blank lines and bytes that are no UTF-8 do no harm", async () => {
  const bad = new Uint8Array([0xff, 0xfe, 0xc3, 10]);
  const good = ENCODER.encode(`\n\n${prompt("go")}\r\n${reply("on")}\r\n`);
  await withFile(new Uint8Array([...bad, ...good, ...bad]), async (path) => {
    deepStrictEqual(backwards(path).map(({ text }) => text), ["go", "on"]);
    deepStrictEqual(await streamed(path), ["go", "on"]);
  });
});

Deno.test("a half-written last line is left for later; a whole one without a newline counts once", async () => {
  const first = prompt("go") + "\n";
  const second = reply("漢 on");
  const bytes = ENCODER.encode(second);
  for (const length of [0, 1, 20, bytes.length - 1]) {
    await withFile(new Uint8Array([...ENCODER.encode(first), ...bytes.subarray(0, length)]), async (path) => {
      deepStrictEqual(backwards(path).map(({ text }) => text), ["go"]);
      strictEqual(tailMarks(path).offset, first.length);
      const read = forwards(path);
      deepStrictEqual(read.found.map(({ text }) => text), ["go"]);
      strictEqual(read.offset, first.length);
      deepStrictEqual(await streamed(path), ["go"]);
      await Deno.writeFile(path, new Uint8Array([...bytes.subarray(length), 10]), { append: true });
      deepStrictEqual(forwards(path, read.offset).found.map(({ text }) => text), ["漢 on"]);
    });
  }
  await withFile(first + second, async (path) => {
    deepStrictEqual(backwards(path).map(({ text }) => text), ["go", "漢 on"]);
    deepStrictEqual(await streamed(path), ["go", "漢 on"]);
    const { found, offset } = forwards(path);
    strictEqual(found.length, 2);
    strictEqual(offset, tailMarks(path).offset);
    await Deno.writeTextFile(path, `\n${reply("more")}\n`, { append: true });
    deepStrictEqual(forwards(path, offset).found.map(({ text }) => text), ["more"]);
  });
});

Deno.test("readForwards() follows a growing file, and says when it was rewritten", async () => {
  await withFile("", async (path) => {
    const seen: string[] = [];
    let offset = 0;
    for (let i = 0; i < 20; i++) {
      const line = ENCODER.encode(reply(`${i} 漢`) + "\n");
      const cut = (i * 7) % line.length;
      for (const part of [line.subarray(0, cut), line.subarray(cut)]) {
        await Deno.writeFile(path, part, { append: true });
        const read = forwards(path, offset);
        offset = read.offset;
        seen.push(...read.found.map(({ text }) => text));
      }
    }
    deepStrictEqual(seen, Array.from({ length: 20 }, (_, i) => `${i} 漢`));
    strictEqual(offset, Deno.statSync(path).size);
    await Deno.writeTextFile(path, prompt("new") + "\n");
    const read = readForwards(path, offset, () => "continue");
    deepStrictEqual(read, { result: "rewritten", size: Deno.statSync(path).size });
  });
});

Deno.test("a visitor may stop, and the next read goes on behind that line", async () => {
  await withFile(["a", "b", "c"].map((text) => prompt(text) + "\n").join(""), (path) => {
    const read = readForwards(path, 0, (mark) => textOf(mark) === "b" ? "stop" : "continue");
    ok(read.result === "read");
    deepStrictEqual(forwards(path, read.offset).found.map(({ text }) => text), ["c"]);
    const visited: string[] = [];
    const back = readBackwards(path, (mark) => visited.push(textOf(mark)) < 2 ? "continue" : "stop");
    deepStrictEqual(visited, ["c", "b"]);
    strictEqual(back.result, "stopped");
  });
});

Deno.test("an offset within a line skips that line", async () => {
  await withFile(`${prompt("a")}\n${prompt("b")}\n`, (path) => {
    deepStrictEqual(forwards(path, 5).found.map(({ text }) => text), ["b"]);
  });
});

Deno.test("maxBytes bounds reading from the end, and the line it cuts is not read", async () => {
  const line = prompt("a") + "\n";
  await withFile(line.repeat(10), (path) => {
    strictEqual(backwards(path, line.length * 3).length, 2);
    strictEqual(backwards(path, line.length * 3 + 1).length, 3);
    strictEqual(backwards(path, line.length * 10).length, 10);
    strictEqual(backwards(path, 0).length, 0);
    strictEqual(readBackwards(path, () => "continue", { maxBytes: 100 }).result, "limit");
    strictEqual(readBackwards(path, () => "continue", { maxBytes: 1e9 }).result, "start");
  });
});

Deno.test("what is missing or no file is missing, an empty file has nothing, a throwing visitor closes it", async () => {
  await withFile("", async (path) => {
    for (const absent of [path + "x", join(path, "x"), join(path, "..")]) {
      deepStrictEqual(readBackwards(absent, () => "continue"), { result: "missing" });
      deepStrictEqual(readForwards(absent, 0, () => "continue"), { result: "missing" });
      deepStrictEqual(await streamed(absent), []);
    }
    deepStrictEqual(readBackwards(path, () => "continue"), { result: "start", size: 0, offset: 0 });
    deepStrictEqual(readForwards(path, 0, () => "continue"), { result: "read", offset: 0 });
    await Deno.writeTextFile(path, prompt("a") + "\n");
    const failing = () => {
      throw new RangeError("from the visitor");
    };
    throws(() => readBackwards(path, failing), RangeError);
    throws(() => readForwards(path, 0, failing), RangeError);
    for await (const mark of entries(path)) {
      strictEqual(textOf(mark), "a");
      break;
    }
  });
});

Deno.test("a file of 50 MB gives the same answer as a small one, from its end only", async () => {
  await withFile("", async (path) => {
    const filler = ENCODER.encode(`${prompt("old")}\n${reply("w".repeat(9_900))}\n`.repeat(100));
    using file = await Deno.open(path, { write: true });
    for (let written = 0; written < 50_000_000; written += filler.length) await file.write(filler);
    await file.write(ENCODER.encode(`${prompt("now")}\n${reply("one")}\n${reply("two")}\n`));
    deepStrictEqual(lastAssistantTexts(path, 2).texts, ["one", "two"]);
    const tail = tailMarks(path, { maxBytes: 1000 });
    strictEqual(tail.complete, true);
    deepStrictEqual(tail.marks.map(textOf), ["now", "one", "two"]);
    let count = 0;
    for await (const _ of entries(path)) count++;
    strictEqual(count, Math.ceil(50_000_000 / filler.length) * 200 + 3);
  });
});
