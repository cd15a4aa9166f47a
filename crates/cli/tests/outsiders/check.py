"""Adds up an export in CSV and follows its chain, with nothing of ours: the format is in docs/en/ledger.md.

Reads the file named on the command line; prints one JSON object with the balances and the last hash.
"""
import collections
import csv
import hashlib
import json
import sys

balances = collections.Counter()
head = "0" * 64
count = 0
with open(sys.argv[1], newline="") as file:
    for row in csv.DictReader(file):
        count += 1
        parts = ["number", "seq", "at_ms", "kind", "asset", "debit", "credit", "amount", "job", "attempt"]
        text = "|".join([head] + [row[part] for part in parts])
        head = hashlib.sha256(text.encode()).hexdigest()
        if head != row["hash"]:
            sys.exit(f"transfer {row['number']} has another hash")
        balances[row["debit"], row["asset"]] -= int(row["amount"])
        balances[row["credit"], row["asset"]] += int(row["amount"])
sums = {f"{account} {asset}": str(balance) for (account, asset), balance in sorted(balances.items())}
print(json.dumps({"transfers": count, "head": head, "balances": sums}))
