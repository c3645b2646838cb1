"""Prints the results of scripts/bench as one table: work | ours | kernel or reader | ratio | goal | met."""
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
rows = [("work", "ours", "kernel's own", "ratio", "goal", "met")]


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


for file in sorted(folder.glob("*.json")):
    if file.name == "whole.json":
        continue
    entries = json.loads(file.read_text())["benchmarks"]
    medians = [e for e in entries if e.get("aggregate_name") == "median"] or entries
    for entry in medians:
        name = f"{file.stem}: {entry['name'].removesuffix('_median')}"
        ours = {k: v for k, v in entry.items() if k.startswith("ours")}
        kernel = {k: v for k, v in entry.items() if k.startswith("kernel")}
        if "ratio" in entry and ours and kernel:
            (label, value), (_, other) = next(iter(ours.items())), next(iter(kernel.items()))
            rate = label.endswith("per_s")
            goal = 0.5 if rate else 1.5
            met = entry["ratio"] >= goal if rate else entry["ratio"] <= goal
            unit = "/s" if rate else " ms"
            rows.append((name, number(value) + unit, number(other) + unit, f"{entry['ratio']:.2f}", ("≥ " if rate else "≤ ") + str(goal), "yes" if met else "NO"))
        else:
            rows.append((name, f"{number(entry['real_time'])} {entry['time_unit']}", "-", "-", "-", "-"))
for line in (folder / "whole.json").read_text().splitlines():
    entry = json.loads(line)
    unit = " " + entry["unit"]
    other = number(entry["reference"]) + unit if "reference" in entry else "-"
    ratio = f"{entry['ratio']:.2f}" if "ratio" in entry else "-"
    rows.append((entry["work"], number(entry["ours"]) + unit, other, ratio, f"≤ {entry['goal']}", "yes" if entry["met"] else "NO"))

widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
for row in rows:
    print("   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
