/** Rates and times of calls. */

export interface Figures {
  readonly per_second: number;
  readonly p50_us: number;
  readonly p99_us: number;
}

/** Each is measured in so many turns. */
const TURNS = 10;

/** What is called by so many callers at once, each for so many seconds in all, in turns: a drift of the machine hits all. */
export async function measured<Name extends string>(
  seconds: number,
  callers: number,
  calls: Readonly<Record<Name, () => Promise<unknown>>>,
): Promise<Record<Name, Figures>> {
  const names = Object.keys(calls) as Name[];
  const times = new Map<Name, number[]>(names.map((name) => [name, []]));
  // Once before, so that nothing is measured cold.
  for (const name of names) {
    await turn(Math.min(seconds, 2), callers, calls[name], []);
  }
  for (let count = 0; count < TURNS; count += 1) {
    for (const name of count % 2 === 0 ? names : names.toReversed()) {
      await turn(seconds / TURNS, callers, calls[name], times.get(name) ?? []);
    }
  }
  return Object.fromEntries(names.map((name) => [name, figures(times.get(name) ?? [], seconds)])) as Record<
    Name,
    Figures
  >;
}

/** Adds the time of each call, in microseconds. */
async function turn(seconds: number, callers: number, call: () => Promise<unknown>, times: number[]): Promise<void> {
  const ends = performance.now() + seconds * 1_000;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (let began = performance.now(); began < ends; began = performance.now()) {
        await call();
        times.push((performance.now() - began) * 1_000);
      }
    }),
  );
}

function figures(times: number[], seconds: number): Figures {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share: number): number => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0);
  return { per_second: Math.round(times.length / seconds), p50_us: at(0.5), p99_us: at(0.99) };
}

/** The same of what takes less than a clock can tell: each time is that of a hundred calls, divided. */
export function median(milliseconds: number, call: (round: number) => void): Figures {
  const BATCH = 100;
  const times: number[] = [];
  const began = performance.now();
  let round = 0;
  while (performance.now() - began < milliseconds) {
    const start = process.hrtime.bigint();
    for (let count = 0; count < BATCH; count += 1) {
      call(round);
      round += 1;
    }
    times.push(Number(process.hrtime.bigint() - start) / 1_000 / BATCH);
  }
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share: number): number => Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(3));
  return { per_second: Math.round(round / (milliseconds / 1_000)), p50_us: at(0.5), p99_us: at(0.99) };
}
