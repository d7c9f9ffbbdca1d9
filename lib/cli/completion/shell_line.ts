/** A command line as bash has it under the cursor, split into words as bash would, without running anything in it. */

export interface SplitLine {
  /** The finished ones, without their quotes. */
  readonly words: readonly string[];
  /** The one under the cursor; empty after a blank. */
  readonly partial: string;
}

/** An unfinished quote ends with the line. */
export function splitLine(line: string): SplitLine {
  const words: string[] = [];
  let word: string | null = null;
  let quote: "'" | '"' | null = null;
  for (let index = 0; index < line.length; index++) {
    const char = line[index]!;
    if (quote === null && /[ \t\n]/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
      continue;
    }
    word ??= "";
    if (char === quote) quote = null;
    else if (quote === null && (char === "'" || char === '"')) quote = char;
    else if (char === "\\" && quote !== "'") {
      const next = line[index + 1] ?? "";
      // Between double quotes the backslash is one itself before most characters.
      word += quote === '"' && next !== "" && !'"\\$`\n'.includes(next) ? `\\${next}` : next;
      index++;
    } else word += char;
  }
  return { words, partial: word ?? "" };
}
