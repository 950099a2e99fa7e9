"""What `run` runs, in Python 2.7: suite.py FOLDER URL GOLDEN.

The suite's packages are in FOLDER, and its reports go there. Every case of the sections below has to come out as in GOLDEN, and well.
"""

from __future__ import print_function

import collections
import json
import os
import shutil
import site
import sys

# Without 9, which measures, and 12 and 13, which are about compression.
SECTIONS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
AGENT = "rollcall"
# What the RFC wants, what it does not mind, and what it says nothing about.
GOOD = {
    "behavior": ["OK", "NON-STRICT", "INFORMATIONAL"],
    "behaviorClose": ["OK", "INFORMATIONAL"],
}

folder, url, golden = sys.argv[1:]
reports = os.path.join(folder, "reports")
spec = os.path.join(folder, "spec.json")


def run_suite():
    """Runs all cases, and returns when the last has ended."""
    # Not only to find them: some are in one namespace, which takes a .pth file.
    site.addsitedir(os.path.join(folder, "packages"))
    from autobahntestsuite import wstest

    with open(spec, "w") as file:
        json.dump(
            {
                "outdir": reports,
                "servers": [{"agent": AGENT, "url": url}],
                "cases": SECTIONS,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            },
            file,
        )
    shutil.rmtree(reports, ignore_errors=True)
    sys.argv = ["wstest", "--mode", "fuzzingclient", "--spec", spec]
    wstest.run()


def outcomes():
    """What came of each case, in their order."""
    with open(os.path.join(reports, "index.json")) as file:
        cases = json.load(file)[AGENT]
    return collections.OrderedDict(
        (case, collections.OrderedDict((what, str(cases[case][what])) for what in sorted(GOOD)))
        for case in sorted(cases, key=lambda case: [int(part) for part in case.split(".")])
    )


def expected():
    if not os.path.exists(golden):
        return {}
    with open(golden) as file:
        return json.load(file)


run_suite()
found = outcomes()
counts = collections.Counter(outcome["behavior"] for outcome in found.values())
print("%d cases:" % len(found), ", ".join("%d %s" % (count, what) for what, count in counts.most_common()))
wrong = [
    "%s: %s is %s" % (case, what, outcome[what])
    for case, outcome in found.items()
    for what in sorted(GOOD)
    if outcome[what] not in GOOD[what]
]
if os.environ.get("ACCEPT_AUTOBAHN") == "1":
    lines = ['  %s: %s' % (json.dumps(case), json.dumps(outcome)) for case, outcome in found.items()]
    with open(golden, "w") as file:
        file.write("{\n%s\n}\n" % ",\n".join(lines))
else:
    before = expected()
    wrong += [
        "%s: %s, and not %s as in %s"
        % (case, json.dumps(found.get(case)), json.dumps(before.get(case)), os.path.basename(golden))
        for case in sorted(set(found) | set(before))
        if found.get(case) != before.get(case)
    ]
if wrong:
    print("\n".join(wrong), file=sys.stderr)
    print("The reports are in %s" % reports, file=sys.stderr)
    sys.exit(1)
