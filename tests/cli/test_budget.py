#!/usr/bin/env python3
"""test_budget.py CHORD: a sweep of budgets on SmolLM2, each in a memory cgroup of exactly that size, without swap.

Never killed, the same hash everywhere, peak within the budget; no --memory inside a cgroup works too; an impossible budget is refused at
once and the budget that the refusal names works."""
import re, shutil
from cli_test import *

MIB = 1 << 20
PROMPT = "Water boils at 100 degrees Celsius because"
smollm2 = model("smollm2")


def command(memory, *more, path=smollm2):
    limit = ["--memory", memory] if memory else []
    return [chord, "run", path, "--raw", "-p", PROMPT, "-n", 16, "--ctx", 256, "--json", *limit, *more]


def run_at(limit, memory, *more):
    if memory is None and not cgroup.available():
        memory = limit
    return execute_capped(limit, command(memory, *more))


def leave_the_map():
    """Memory that others took after all, and pages kept in the map: the program must notice and stream. On a copy of the model: pages of the
    file that other tests hold in memory would hide the shortage, and so would a folder for temporary files that is memory itself."""
    others = "import subprocess, sys; held = bytearray(b'x') * (640 << 20); sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    with tempfile.TemporaryDirectory(dir=pathlib.Path(chord).parent) as folder:
        copy = pathlib.Path(folder) / "copy.gguf"
        shutil.copyfile(smollm2, copy)
        result = execute_capped(710 * MIB, [sys.executable, "-c", others, *command(700 * MIB, "--no-repack", path=copy)])
    check(result.code == 0, f"a map in too little memory: exit {result.code}: {result.err.strip()[-300:]}")
    check("are free here now" in result.err, f"the shortage is told: {result.err.strip()[-300:]}")
    answer = json.loads(result.out)
    check(not answer["stats"]["mapped"], "a map that keeps faulting was not left")
    print(f"mapped in some 60 MiB: hash {answer['logits_hash']}")
    return answer["logits_hash"]


def sweep():
    least = run_json("plan", smollm2, "--ctx", 256, "--memory", "1G")["budget_bytes_min"]
    whole = smollm2.stat().st_size
    hashes = set()
    for limit, memory, more in [(least, least, []), (least + 8 * MIB, least + 8 * MIB, []), (whole // 4 + least // 2, whole // 4 + least // 2, []),
                                (whole // 2 + least // 2,) * 2 + ([],), (whole * 3 // 4,) * 2 + ([],), (whole, whole, []),
                                (400 * MIB, 400 * MIB, []), (700 * MIB, None, []), (300 * MIB, None, []),
                                (least, least, ["--threads", "1"]),
                                (whole * 3 // 4, whole * 3 // 4, ["--threads", "3"]), (least, least, ["--policy", "lru"])]:
        result = run_at(limit, memory, *more)
        what = f"limit {limit / MIB:.1f} MiB, --memory {'not given' if memory is None else 'the same'} {' '.join(more)}"
        check(result.code == 0, f"{what}: exit {result.code}: {result.err.strip()[-300:]}")
        if result.code != 0:
            continue
        answer = json.loads(result.out)
        stats = answer["stats"]
        hashes.add(answer["logits_hash"])
        check(stats["peak_bytes"] <= stats["budget_bytes"] <= limit,
              f"{what}: peak {stats['peak_bytes']}, budget {stats['budget_bytes']}, limit {limit}")
        print(f"{what}: peak {stats['peak_bytes'] / MIB:.1f} MiB (cgroup {result.peak_bytes / MIB:.1f}), hash {answer['logits_hash']}")
    if cgroup.available():
        hashes.add(leave_the_map())
    check(len(hashes) == 1, f"hashes differ: {hashes}")


def window():
    """Beyond two threads nothing is mapped of the page cache, and its share is spent on weights that stay."""
    two, three = (run_json("plan", smollm2, "--ctx", 256, "--memory", "80M", "--threads", threads) for threads in (2, 3))
    check(two["window_bytes"] - three["window_bytes"] > MIB and three["resident_bytes"] > two["resident_bytes"], f"{two} {three}")


def refusal():
    done = execute(command(8 * MIB))
    check(done.returncode == 1 and "smallest" in done.stderr or "leaves nothing" in done.stderr, f"8 MiB: {done.returncode} {done.stderr}")
    done = execute(command(15 * MIB))
    named = re.search(r"([0-9.]+) MiB is the smallest", done.stderr)
    check(done.returncode == 1 and named is not None, f"15 MiB: {done.returncode} {done.stderr}")
    if named:
        limit = int(float(named.group(1)) * MIB) + 1
        result = run_at(limit, limit)
        check(result.code == 0, f"the {named.group(1)} MiB that a refusal named: exit {result.code}: {result.err.strip()[-300:]}")


if not cgroup.available():
    print("cannot make memory cgroups here (root is needed): only the process's own count of its memory is checked")
    check(os.environ.get("CI") is None, "CI must be able to make memory cgroups")
sweep()
window()
refusal()
done()
