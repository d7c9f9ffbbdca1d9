/** What the input box holds, read off screens of the real program and off screens that are made to mislead. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import {
  endsWithText,
  type InputBox,
  isVimInsert,
  readInputBox,
  type ScreenCapture,
  showsOnlyText,
  showsPartOfText,
} from "../../../backends/claude/screen.ts";
import { screen, SCREEN_NAMES, type ScreenName } from "../../support/screens.ts";

const BOX: Record<ScreenName, InputBox["kind"] | { draft: string }> = {
  idle_fresh: "empty",
  idle_after_turn: "empty",
  native_default_start: "empty",
  no_login: "empty",
  busy_empty: "empty",
  busy_queued_placeholder: "empty",
  help_question: "empty",
  ctrl_s_stash: "empty",
  draft_one_line: { draft: "hey" },
  draft_three_lines: { draft: "one\ntwo\nthree" },
  draft_cursor_home: { draft: "draft" },
  draft_wrapped: { draft: "x".repeat(1500) },
  draft_one_big_paste: { draft: "[Pasted text #1 +29 lines]" },
  draft_taller_than_screen: "draft",
  busy_draft: { draft: "x" },
  slash_popup: { draft: "/" },
  vim_insert_draft: { draft: "draft person" },
  vim_normal_draft: { draft: "draft person" },
  bash_mode_empty: "other_mode",
  bash_mode_draft: "other_mode",
  ctrl_r_search: "other_mode",
  ctrl_o_transcript: "unrecognised",
  model_dialog: "unrecognised",
  ask_dialog: "unrecognised",
  permission_dialog: "unrecognised",
  trust_dialog: "unrecognised",
  bypass_dialog: "unrecognised",
  onboarding: "unrecognised",
};

for (const name of SCREEN_NAMES) {
  const expected = BOX[name];
  Deno.test(`readInputBox() on the real screen ${name}: ${JSON.stringify(expected).slice(0, 60)}`, () => {
    const box = readInputBox(screen(name));
    if (typeof expected === "string") return strictEqual(box.kind, expected);
    strictEqual(box.kind, "draft");
    const text = box.kind === "draft" ? box.text : "";
    strictEqual(name === "draft_wrapped" ? text.replaceAll("\n", "") : text, expected.draft);
  });
}

Deno.test("readInputBox() has the end of a draft that is taller than the screen", () => {
  const box = readInputBox(screen("draft_taller_than_screen"));
  ok(box.kind === "draft" && box.text.split("\n").at(-1)!.startsWith("line 1249 abc"));
});

Deno.test("readInputBox() names the mode that keys would be read in", () => {
  const what = (capture: ScreenCapture) => {
    const box = readInputBox(capture);
    return box.kind === "other_mode" ? box.what : box.kind;
  };
  strictEqual(what(screen("bash_mode_draft")), "bash mode");
  strictEqual(what(screen("ctrl_r_search")), "the search of earlier prompts");
  for (const mode of ["VISUAL", "VISUAL LINE", "VISUAL BLOCK"]) {
    const insert = screen("vim_insert_draft");
    strictEqual(what({ ...insert, text: insert.text.replace("INSERT", mode) }), "vim's visual mode", mode);
  }
});

const RULE = "─".repeat(120);

/** A screen of these lines, the caret in the row that has `▮` (which is left out). */
function capture(...lines: string[]): ScreenCapture {
  const cursorY = lines.findIndex((line) => line.includes("▮"));
  return { text: lines.join("\n").replace("▮", "") + "\n", cursorX: 2, cursorY };
}

Deno.test("readInputBox() is not misled by what stands elsewhere on the screen", () => {
  const footer = "  ? for shortcuts";
  const table: [holds: string, capture: ScreenCapture, kind: InputBox["kind"]][] = [
    [
      "a reply about the search",
      capture("  search prompts: is a label", RULE, "❯\u00a0▮", RULE, footer),
      "empty",
    ],
    ["a reply about vim", capture("  -- VISUAL -- is a mode", RULE, "❯\u00a0▮", RULE, footer), "empty"],
    ["the search below the box", capture(RULE, "❯\u00a0", RULE, "  search prompts: x▮"), "other_mode"],
    ["visual mode below the box", capture(RULE, "❯\u00a0x▮", RULE, "  -- VISUAL -- x"), "other_mode"],
    ["an earlier prompt with a plain blank", capture("❯ hello", "", RULE, "❯\u00a0▮", RULE), "empty"],
    ["an earlier prompt alone", capture("❯ hello▮", ""), "unrecognised"],
    ["a menu", capture("Do you want to proceed?", "❯ 1. Yes▮", "  2. No"), "unrecognised"],
    ["the caret above the box", capture("working▮", RULE, "❯\u00a0", RULE), "unrecognised"],
    ["the caret below the box", capture(RULE, "❯\u00a0", RULE, "  search▮"), "unrecognised"],
    [
      "a draft with a rule of its own",
      capture(RULE, "❯\u00a0title", `  ${RULE.slice(2)}`, "  text▮", RULE),
      "draft",
    ],
    ["an empty line before the text", capture(RULE, "❯\u00a0", "  text▮", RULE), "draft"],
    ["a box without its lower rule", capture(RULE, "❯\u00a0text▮"), "draft"],
    ["an empty screen", capture("▮"), "unrecognised"],
    ["no text at all", { text: "", cursorX: 0, cursorY: 0 }, "unrecognised"],
  ];
  for (const [holds, given, kind] of table) strictEqual(readInputBox(given).kind, kind, holds);
});

Deno.test("readInputBox() tells a placeholder from a draft by its attributes", () => {
  const table: [holds: string, line: string, kind: InputBox["kind"]][] = [
    ["dim", "\x1b[2mTry it\x1b[0m", "empty"],
    ["dim but for the caret", "\x1b[7mT\x1b[0;2mry it\x1b[0m", "empty"],
    ["dim, with a colour in the same sequence", "\x1b[7mT\x1b[0;2;38;5;246mry it\x1b[0m", "empty"],
    ["dim, with the colour first", "\x1b[7mT\x1b[0;38;5;246;2mry it\x1b[0m", "empty"],
    ["dim, with a colour of the other form", "\x1b[7mT\x1b[0;2;38:2::1:2:3mry it\x1b[0m", "empty"],
    ["one letter under the caret", "\x1b[7mx\x1b[0m", "draft"],
    ["the caret on the first letter", "\x1b[7md\x1b[0mraft", "draft"],
    ["dim ended by 22", "\x1b[2mT\x1b[22mry", "draft"],
    ["a colour whose number is 2", "\x1b[38;5;2mgreen", "draft"],
    ["a true colour with a 2", "\x1b[38;2;2;2;2mgrey", "draft"],
    ["a background whose number is 7", "\x1b[48;5;7mx\x1b[0;2my", "draft"],
    ["an underline whose colour is 2", "\x1b[4;58;5;2mword", "draft"],
    ["bold", "\x1b[1mword", "draft"],
    ["a link", "\x1b]8;;https://x\x1b\\word\x1b]8;;\x1b\\", "draft"],
    ["a suggestion behind typed text", "fi\x1b[7mx\x1b[0;2m the bug", "draft"],
    ["blanks", "   ", "empty"],
  ];
  for (const [holds, line, kind] of table) {
    strictEqual(readInputBox(capture(RULE, `❯\u00a0${line}▮`, `\x1b[0m${RULE}`)).kind, kind, holds);
  }
});

Deno.test("readInputBox() carries attributes over from line to line", () => {
  const dim = capture(RULE, "❯\u00a0\x1b[2mone▮", "  two", `\x1b[0m${RULE}`);
  strictEqual(readInputBox(dim).kind, "empty");
  const ended = capture(RULE, "❯\u00a0\x1b[2mone▮", "\x1b[0m  two", RULE);
  deepStrictEqual(readInputBox(ended), { kind: "draft", text: "one\ntwo" });
});

Deno.test("endsWithText() and showsOnlyText() ignore wraps, guards and invisible characters", () => {
  const table: [box: string, text: string, ends: boolean, only: boolean][] = [
    ["hello world", "hello world", true, true],
    ["hello\nworld", "hello world", true, true],
    ["\u2800/review", "/review", true, true],
    ["say hello world", "hello world", true, false],
    ["hello", "hello world", false, false],
    ["world", "hello world", false, false],
    ["hello world!", "hello world", false, false],
    ["x", "", false, false],
    ["x", " \u200b", false, false],
    ["", "x", false, false],
    ["e\u0301", "e\u200b\u0301", true, true],
    ["\u00e9", "e\u200b\u0301", true, true],
  ];
  for (const [box, text, ends, only] of table) {
    strictEqual(endsWithText(box, text), ends, JSON.stringify([box, text]));
    strictEqual(showsOnlyText(box, text), only, JSON.stringify([box, text]));
  }
});

Deno.test("isVimInsert() reads the footer only", async () => {
  const seen = async (name: string) => {
    const path = new URL(`../../support/screens/${name}.txt`, import.meta.url);
    return isVimInsert({ text: await Deno.readTextFile(path), cursorX: 0, cursorY: 0 });
  };
  strictEqual(await seen("vim_insert_draft"), true);
  for (const name of ["vim_normal_draft", "busy_empty", "permission_dialog", "idle_after_turn"]) {
    strictEqual(await seen(name), false, name);
  }
  const rule = "─".repeat(40);
  const said = `  -- INSERT --\n${rule}\n❯\u00a0\n${rule}\n  ? for shortcuts`;
  strictEqual(isVimInsert({ text: said, cursorX: 2, cursorY: 2 }), false);
  strictEqual(isVimInsert({ text: "", cursorX: 0, cursorY: 0 }), false);
});

Deno.test("showsPartOfText() is true for what is left of a text, and for nothing else", () => {
  strictEqual(showsPartOfText("line one\n  line t", "line one\nline two"), true);
  strictEqual(showsPartOfText("line one, edited", "line one\nline two"), false);
});
