import assert from "node:assert/strict";
import { CHAMPION_IDS, CHAMPIONS, freeChampionId, isSessionId, ROLES } from "../../lib/champion_ids.ts";
import { AppError } from "../../lib/errors.ts";

Deno.test("157 champions and 5 roles make 785 different ids", () => {
  assert.equal(new Set(CHAMPIONS).size, 157);
  assert.equal(ROLES.length, 5);
  assert.equal(new Set(CHAMPION_IDS).size, 785);
  assert.deepEqual(["fizz-top", "riven-jg", "master-yi-sup"].filter((id) => !CHAMPION_IDS.includes(id)), []);
  assert.deepEqual(CHAMPION_IDS.filter((id) => !isSessionId(id)), []);
});

Deno.test("freeChampionId() gives every id before it gives one with a suffix", () => {
  const taken = new Set<string>();
  for (let i = 0; i < 785; i++) taken.add(freeChampionId(taken, Math.random));
  assert.deepEqual([...taken].sort(), [...CHAMPION_IDS].sort());
  assert.match(freeChampionId(taken, Math.random), /-2$/);
});

Deno.test("freeChampionId() goes on with -3 when every -2 is taken", () => {
  const taken = new Set([...CHAMPION_IDS, ...CHAMPION_IDS.map((id) => `${id}-2`)]);
  assert.equal(freeChampionId(taken, () => 0), `${CHAMPION_IDS[0]}-3`);
});

Deno.test("freeChampionId() finds the only free id at once, whatever the random number", () => {
  const free = (id: string) => id !== "zyra-sup";
  for (const random of [0, 0.5, 0.999999]) assert.equal(freeChampionId(free, () => random), "zyra-sup");
});

Deno.test("freeChampionId() reaches the first and the last id", () => {
  assert.equal(freeChampionId(new Set(), () => 0), CHAMPION_IDS.at(0));
  assert.equal(freeChampionId(new Set(), () => 1 - Number.EPSILON), CHAMPION_IDS.at(-1));
});

Deno.test("freeChampionId() gives up when every name is taken", () => {
  assert.throws(
    () => freeChampionId(() => true, Math.random),
    (error) => error instanceof AppError && error.message === "Unable to allocate a unique champion ID",
  );
});

for (const id of ["a", "fizz-top", "fizz-top-2", "x1", "a-1-b", "a".repeat(64)]) {
  Deno.test(`isSessionId() accepts ${id.slice(0, 20)}`, () => assert.equal(isSessionId(id), true));
}

const NO_IDS = [
  ...["", "--all", "-a", "a-", "a--b", ".", "..", "a.b", "a:b", "a/b", "=a", "a=b", "@a", "1a", "Fizz-top"],
  ...["a b", "a\n", "\na", "a\0", "é", "a_b", "*", "a%", "$a", "a".repeat(65)],
];
for (const text of NO_IDS) {
  Deno.test(`isSessionId() rejects ${JSON.stringify(text).slice(0, 20)}`, () => {
    assert.equal(isSessionId(text), false);
  });
}
