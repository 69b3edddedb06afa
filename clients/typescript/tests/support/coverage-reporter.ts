/** A reporter of node:test: how many lines are covered, and which are not. */

import type { TestEvent } from "node:test/reporters";

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type !== "test:coverage") {
      continue;
    }
    const { totals, files, workingDirectory } = data.summary;
    for (const { path, coveredLinePercent, lines } of files) {
      const missed = lines.filter((line) => line.count === 0).map((line) => line.line);
      if (missed.length > 0) {
        const name = path.replace(`${workingDirectory}/`, "");
        yield `${name}: ${coveredLinePercent.toFixed(1)} % of the lines; not ${missed.join(", ")}\n`;
      }
    }
    yield `covered: ${totals.coveredLinePercent.toFixed(1)} % of the lines\n`;
  }
}
