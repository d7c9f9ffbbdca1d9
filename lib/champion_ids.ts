/** Session ids: `<champion>-<role>`, safe to become a path, a tmux target or an argument. */

import { AppError } from "./errors.ts";

/** The first 157 champions of League of Legends by release (Vex, 2021, is the 157th), in alphabetical order. */
export const CHAMPIONS: readonly string[] = `
  aatrox ahri akali akshan alistar amumu anivia annie aphelios ashe aurelion-sol azir bard blitzcrank brand braum
  caitlyn camille cassiopeia chogath corki darius diana dr-mundo draven ekko elise evelynn ezreal fiddlesticks fiora
  fizz galio gangplank garen gnar gragas graves gwen hecarim heimerdinger illaoi irelia ivern janna jarvan-iv jax
  jayce jhin jinx kaisa kalista karma karthus kassadin katarina kayle kayn kennen khazix kindred kled kogmaw leblanc
  lee-sin leona lillia lissandra lucian lulu lux malphite malzahar maokai master-yi miss-fortune mordekaiser morgana
  nami nasus nautilus neeko nidalee nocturne nunu olaf orianna ornn pantheon poppy pyke qiyana quinn rakan rammus
  reksai rell renekton rengar riven rumble ryze samira sejuani senna seraphine sett shaco shen shyvana singed sion
  sivir skarner sona soraka swain sylas syndra tahm-kench taliyah talon taric teemo thresh tristana trundle
  tryndamere twisted-fate twitch udyr urgot varus vayne veigar velkoz vex vi viego viktor vladimir volibear warwick
  wukong xayah xerath xin-zhao yasuo yone yorick yuumi zac zed ziggs zilean zoe zyra
`.trim().split(/\s+/);

export const ROLES: readonly string[] = ["top", "jg", "mid", "adc", "sup"];

/** All 785 names without a suffix. */
export const CHAMPION_IDS: readonly string[] = CHAMPIONS.flatMap((champion) =>
  ROLES.map((role) => `${champion}-${role}`)
);

const MAX_ID_LENGTH = 64;
const MAX_SUFFIX = 999;
const SESSION_ID = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** Whether a text has the form of a session id; nothing else may become a path or a target. */
export function isSessionId(text: string): boolean {
  return text.length <= MAX_ID_LENGTH && SESSION_ID.test(text);
}

/**
 * A random id that is not taken; when all 785 are, one with the suffix `-2`, then `-3` ...
 * @param random a number in [0, 1).
 * @throws AppError when every name up to the suffix `-999` is taken.
 */
export function freeChampionId(
  taken: ReadonlySet<string> | ((id: string) => boolean),
  random: () => number,
): string {
  const isTaken = typeof taken === "function" ? taken : (id: string) => taken.has(id);
  for (let level = 1; level <= MAX_SUFFIX; level++) {
    const names = level === 1 ? CHAMPION_IDS : CHAMPION_IDS.map((id) => `${id}-${level}`);
    const free = names.filter((id) => !isTaken(id));
    const pick = free[Math.floor(random() * free.length)];
    if (pick !== undefined) return pick;
  }
  throw new AppError("failure", "Unable to allocate a unique champion ID");
}
