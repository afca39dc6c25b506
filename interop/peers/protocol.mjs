// The line protocol of README.md, for the peers that run in Node.js.
import { createInterface } from "node:readline";

export const options = JSON.parse(process.argv[2]);

export function emit(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

// orders calls handle with each order, one after the other, and then ends the process.
export async function orders(handle) {
  for await (const line of createInterface({ input: process.stdin })) {
    await handle(JSON.parse(line));
  }
  process.exit(0);
}
