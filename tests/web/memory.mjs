// memory.mjs - what a browser's processes have in memory.
import { readdirSync, readFileSync } from "node:fs";

/** MiB (PSS) of the browser with this profile, all of its processes; or of those of one kind, such as "renderer". */
export function pssMiB(profile, kind = "") {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name)), children = new Map(), queue = [], all = new Set();
  const commandOf = (pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8");
  for (const pid of pids)
    try {
      const parent = Number(/^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(pid)]);
      if (commandOf(pid).includes(profile)) queue.push(Number(pid));
    } catch {} // it ended
  let kib = 0;
  while (queue.length > 0) {
    const pid = queue.pop();
    if (all.has(pid)) continue;
    all.add(pid);
    queue.push(...(children.get(pid) ?? []));
    try {
      if (commandOf(pid).includes(kind === "" ? "" : `--type=${kind}`)) kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {}
  }
  return kib / 1024;
}
