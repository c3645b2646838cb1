"""Prints the results of scripts/bench as one table: work | ours | kernel or reader | ratio | goal | met."""
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
rows = [("work", "ours", "kernel's own", "ratio", "goal", "met")]


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def of_google(name, entry):
    """A row of a Google Benchmark: counters ours_... and kernel_... are held against each other."""
    ours = [(k, v) for k, v in entry.items() if k.startswith("ours")]
    kernel = [v for k, v in entry.items() if k.startswith("kernel")]
    if "ratio" not in entry or not ours or not kernel:
        return (name, f"{number(entry['real_time'])} {entry['time_unit']}", "-", "-", "-", "-")
    rate = ours[0][0].endswith("per_s")
    goal = 0.5 if rate else 1.5
    met = entry["ratio"] >= goal if rate else entry["ratio"] <= goal
    unit = "/s" if rate else " ms"
    return (name, number(ours[0][1]) + unit, number(kernel[0]) + unit, f"{entry['ratio']:.2f}",
            ("≥ " if rate else "≤ ") + str(goal), "yes" if met else "NO")


def of_agent(entry):
    """A row of a benchmark of the whole agent."""
    unit = " " + entry["unit"]
    other = number(entry["reference"]) + unit if "reference" in entry else "-"
    ratio = f"{entry['ratio']:.2f}" if "ratio" in entry else "-"
    goal, met = (f"≤ {entry['goal']:g}", "yes" if entry["met"] else "NO") if "goal" in entry else ("-", "-")
    return (entry["work"], number(entry["ours"]) + unit, other, ratio, goal, met)


for file in sorted(folder.glob("*.json")):
    text = file.read_text()
    if text.startswith('{"'):  # one object a line
        rows += [of_agent(json.loads(line)) for line in text.splitlines()]
        continue
    entries = json.loads(text)["benchmarks"]
    medians = [e for e in entries if e.get("aggregate_name") == "median"] or entries
    rows += [of_google(f"{file.stem}: {e['name'].removesuffix('_median')}", e) for e in medians]

widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
for row in rows:
    print("   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
