// speed.mjs DIST MODEL [MEMORY_BYTES [THREADS]]: a prompt of some 430 tokens and 48 more by the package in DIST (web/dist of a tree) under Node: user time of
// the process, and the wall's. For pairs: run it for one tree and the other in turn.
const [dist, model, memory = "1500000000", threads = "1"] = process.argv.slice(2);
const { load } = await import(new URL("node.js", new URL(`${dist}/`, `file://${process.cwd()}/`)));
const engine = await load(model, { memory: Number(memory), threads: Number(threads), context: 1024 });
const prompt = "The river ran past the old stone house and the garden where the children played. ".repeat(24);
const used = process.cpuUsage(), began = performance.now();
let first = 0, made = 0;
for await (const chunk of await engine.completions.create({ prompt, max_tokens: 48, temperature: 0, stream: true })) {
  first ||= performance.now();
  made += chunk.choices.length > 0 ? 1 : 0;
}
const { user } = process.cpuUsage(used), end = performance.now();
console.log(`user ${(user / 1e6).toFixed(2)} s; prompt ${((first - began) / 1e3).toFixed(2)} s, then ${((made - 1) / (end - first) * 1e3).toFixed(1)} tokens/s`);
await engine.close();
