/** The examples of a skill: what an agent copies into its shell. */

export interface SkillBlock {
  /** Of the heading above it, with a number when several stand below the same: `Supervise 2`. */
  readonly name: string;
  readonly script: string;
}

/** Every `sh` block of the page, in its order. */
export function skillBlocks(text: string): SkillBlock[] {
  const blocks: SkillBlock[] = [];
  let heading = "";
  let count = 0;
  for (const [, title, script] of text.matchAll(/^##+ (?:\d+\. )?(.*)$|^```sh\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) {
      heading = title;
      count = 0;
      continue;
    }
    count++;
    blocks.push({ name: count === 1 ? heading : `${heading} ${count}`, script: script ?? "" });
  }
  return blocks;
}
