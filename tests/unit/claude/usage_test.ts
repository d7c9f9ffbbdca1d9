/** What transcripts say of tokens: each reply once, its last line, from lines as Claude Code writes them. */

import { deepStrictEqual } from "node:assert/strict";
import { count, emptyIndex, repliesIn, usageOf } from "../../../backends/claude/usage.ts";

interface Line {
  readonly id: string;
  readonly output: number;
  readonly input?: number;
  readonly more?: object;
}

/** As 2.1.330 writes it, shortened. */
function line({ id, output, input = 10, more = {} }: Line): string {
  return JSON.stringify({
    parentUuid: null,
    isSidechain: false,
    message: {
      id,
      type: "message",
      role: "assistant",
      model: "claude-opus-5-5",
      content: [{ type: "text", text: "hello" }],
      usage: {
        input_tokens: input,
        cache_creation_input_tokens: 3,
        cache_read_input_tokens: 200,
        output_tokens: output,
        output_tokens_details: { thinking_tokens: 0 },
        server_tool_use: { web_search_requests: 0 },
        cache_creation: { ephemeral_1h_input_tokens: 3, ephemeral_5m_input_tokens: 0 },
      },
    },
    type: "assistant",
    uuid: crypto.randomUUID(),
    ...more,
  }) + "\n";
}

function counted(...texts: string[]) {
  const index = emptyIndex();
  const known = new Set<string>();
  const file = { offset: 0, tail: "", open: [] };
  for (const text of texts) count(index, file, repliesIn(text), known);
  return usageOf(index);
}

const one = (input: number, output: number, replies: number) => ({
  input,
  output,
  cacheRead: 200 * replies,
  cacheWrite: 3 * replies,
  total: input + output + 203 * replies,
});

Deno.test("usage: no reply on record is null, not none", () => {
  deepStrictEqual(counted(""), null);
  deepStrictEqual(
    counted('{"type":"user","message":{"role":"user","content":"what is \\"usage\\"?"}}\n'),
    null,
  );
});

Deno.test("usage: the lines of one reply count once, with what the last one says", () => {
  deepStrictEqual(counted(line({ id: "a", output: 1 }) + line({ id: "a", output: 42 })), one(10, 42, 1));
  deepStrictEqual(counted(line({ id: "a", output: 1 }), line({ id: "a", output: 42 })), one(10, 42, 1));
});

Deno.test("usage: replies whose lines are mixed count once each", () => {
  const text = [["a", 1], ["b", 2], ["a", 10], ["b", 20]] as const;
  deepStrictEqual(counted(...text.map(([id, output]) => line({ id, output }))), one(20, 30, 2));
});

Deno.test("usage: a reply that is repeated much later does not count again", () => {
  const ids = Array.from({ length: 30 }, (_, i) => `msg_${i}`);
  const text = ids.map((id) => line({ id, output: 1 })).join("");
  deepStrictEqual(counted(text, text), one(300, 30, 30));
});

Deno.test("usage: what is no reply of the model is passed over", () => {
  const synthetic = JSON.parse(line({ id: "s", output: 5 }));
  synthetic.message.model = "<synthetic>";
  const text = [
    JSON.stringify(synthetic),
    line({ id: "a", output: 4 }).trimEnd(),
    '{"type":"assistant","message":{"id":"x","usage":null}}',
    '{"type":"assistant","message":{"usage":{"input_tokens":7}}}',
    '{"type":"assistant","message":{"id":"y","usage":{"input_tokens":-7}}}',
    '{"type":"assistant","message":{"id":"z","usage":',
    '{"type":"user","toolUseResult":{"type":"assistant","usage":{"input_tokens":99}}}',
    '{"type":"api-request-blob","message":{"id":"b","usage":{"input_tokens":99}}}',
    "",
  ].join("\n");
  deepStrictEqual(counted(text), one(10, 4, 1));
});

Deno.test("usage: kinds of tokens that a line does not name are none", () => {
  const text = '{"type":"assistant","message":{"id":"a","usage":{"input_tokens":7,"output_tokens":null}}}\n';
  deepStrictEqual(counted(text), { input: 7, output: 0, cacheRead: 0, cacheWrite: 0, total: 7 });
});
