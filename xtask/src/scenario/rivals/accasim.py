"""Runs a log under one of AccaSim's dispatchers and prints one line of JSON.

accasim.py LOG PROCESSORS fifo|easy FOLDER: what AccaSim 1.1.3 writes goes into the folder. A node has one core, so that
its first fit is that of equal processors.
"""

import collections
import collections.abc
import json
import os
import sys
import time

# AccaSim is of 2018 and looks for a name where Python 3.9 had it last.
collections.Mapping = collections.abc.Mapping

from accasim.base.allocator_class import FirstFit
from accasim.base.scheduler_class import EASYBackfilling, FirstInFirstOut
from accasim.base.simulator_class import Simulator

log, processors, policy, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
system = os.path.join(folder, "system.json")
with open(system, "w") as file:
    groups, resources = {"node": {"core": 1}}, {"node": processors}
    json.dump({"groups": groups, "resources": resources, "equivalence": {"processor": {"core": 1}}}, file)
output = {
    "format": "{id};{submitted};{start}",
    "attributes": {"id": ("id", "str"), "submitted": ("queued_time", "int"), "start": ("start_time", "int")},
}
dispatcher = {"fifo": FirstInFirstOut, "easy": EASYBackfilling}[policy](FirstFit())
before = time.process_time()
simulator = Simulator(
    log,
    system,
    dispatcher,
    statistics_output=False,
    show_statistics=False,
    RESULTS_FOLDER_PATH=folder,
    SCHEDULE_OUTPUT=output,
)
simulator.start_simulation()
cpu_s = time.process_time() - before
(schedule,) = [name for name in os.listdir(folder) if name.startswith("sched-")]
waits = []
with open(os.path.join(folder, schedule)) as file:
    for line in filter(str.strip, file):
        _, submitted, start = line.split(";")
        waits.append(int(start) - int(submitted))
mean_wait_s = sum(waits) / max(1, len(waits))
print(json.dumps({"jobs": len(waits), "mean_wait_s": mean_wait_s, "max_wait_s": max(waits, default=0), "cpu_s": cpu_s}))
