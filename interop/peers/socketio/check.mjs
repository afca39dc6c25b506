// What a program of checks is made of: see README.md.
import { emit, options, orders } from "../protocol.mjs";

export { options };

const patience = 30_000; // milliseconds, for one check
let undo = [];

// later has something done at the end of the check, whatever becomes of it.
export function later(f) {
  undo.push(f);
}

// check carries out one and tells what became of it.
export async function check(name, run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, patience, new Error(`not done within ${patience} ms`));
  });
  let message = "";
  try {
    await Promise.race([run(), late]);
  } catch (error) {
    message = error.stack ?? String(error);
  }
  clearTimeout(timer);
  await undoAll();
  emit("check", { name, message });
}

export async function undoAll() {
  for (const f of undo.reverse()) await f();
  undo = [];
}

// within rejects unless the promise is kept in time.
export function within(milliseconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, milliseconds, new Error(`${what}: not within ${milliseconds} ms`));
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// main runs the checks and ends the process, at the latest when its standard input ends.
export async function main(checks) {
  orders(() => {});
  process.on("unhandledRejection", (error) => emit("error", { message: error.stack ?? String(error) }));
  await checks();
  emit("done");
  process.exit(0);
}
