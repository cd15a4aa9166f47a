"""Runs a log under one of pyss' schedulers and prints one line of JSON; for Python 2.

pyss.py LOG PROCESSORS fifo|easy|conservative SRC: the last is the folder `src` of a checkout of pyss.
"""
import json, os, sys

log, processors, policy, source = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
sys.path.insert(0, source)
from base.prototype import _job_inputs_to_jobs
from base.workload_parser import parse_lines
from schedulers.simulator import run_simulator

if policy == "fifo":
    from schedulers.fcfs_scheduler import FcfsScheduler as Scheduler
elif policy == "easy":
    from schedulers.easy_scheduler import EasyBackfillScheduler as Scheduler
else:
    from schedulers.conservative_scheduler import ConservativeScheduler as Scheduler
before = os.times()[0]
jobs = list(_job_inputs_to_jobs(parse_lines(open(log)), processors))
run_simulator(processors, jobs, Scheduler(processors))
cpu_s = os.times()[0] - before
waits = [job.start_to_run_at_time - job.submit_time for job in jobs]
print(json.dumps({"jobs": len(waits), "mean_wait_s": sum(waits) / float(max(1, len(waits))), "max_wait_s": max(waits), "cpu_s": cpu_s}))
