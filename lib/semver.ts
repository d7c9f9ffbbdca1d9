/** Which of two versions is the newer one, by the rules of Semantic Versioning 2.0.0. Pure. */

const NUMBER = "(?:0|[1-9]\\d*)";
const IDENTIFIER = `(?:${NUMBER}|\\d*[A-Za-z-][0-9A-Za-z-]*)`;
const VERSION = new RegExp(
  `^(${NUMBER})\\.(${NUMBER})\\.(${NUMBER})(?:-(${IDENTIFIER}(?:\\.${IDENTIFIER})*))?` +
    `(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);

/** Positive where the first is newer, 0 where neither is; null where one is no version. Build metadata don't count. */
export function compareVersions(one: string, other: string): number | null {
  const [a, b] = [VERSION.exec(one), VERSION.exec(other)];
  if (a === null || b === null) return null;
  for (let part = 1; part <= 3; part++) {
    const order = compareNumbers(a[part]!, b[part]!);
    if (order !== 0) return order;
  }
  return comparePreReleases(a[4]?.split(".") ?? [], b[4]?.split(".") ?? []);
}

function comparePreReleases(one: readonly string[], other: readonly string[]): number {
  // A version is newer than its own pre-releases.
  if (one.length === 0 || other.length === 0) return other.length - one.length;
  for (const [index, mine] of one.entries()) {
    const theirs = other[index];
    if (theirs === undefined) return 1;
    const order = compareIdentifiers(mine, theirs);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

function compareIdentifiers(one: string, other: string): number {
  const [isNumber, otherIsNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
  if (isNumber && otherIsNumber) return compareNumbers(one, other);
  if (isNumber !== otherIsNumber) return isNumber ? -1 : 1;
  return compareText(one, other);
}

/** Without leading zeros the longer one is greater, however long both are. */
function compareNumbers(one: string, other: string): number {
  return one.length - other.length || compareText(one, other);
}

function compareText(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}
