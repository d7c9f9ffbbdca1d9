/** Lengths of time as people write them: a whole number with `m`, `h` or `d`. Pure. */

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30m`, `72h`, `7d` in milliseconds; null for anything else, and for what is not positive. */
export function parseDuration(text: string): number | null {
  const [, amount, unit] = /^(\d+)([mhd])$/.exec(text) ?? [];
  const value = Number(amount) * (UNIT_MS[unit ?? ""] ?? NaN);
  return value > 0 && Number.isSafeInteger(value) ? value : null;
}
