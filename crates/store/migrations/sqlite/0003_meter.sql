-- Rows of the meter: written once, never changed. They have columns only: there is one for every hour of every
-- attempt, and bills and reports add them up. Unsigned 64-bit figures are stored bit by bit.

CREATE TABLE meter (
    job       INTEGER NOT NULL,
    task      INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    adjusts   INTEGER,
    tenant    TEXT NOT NULL,
    project   TEXT NOT NULL,
    centre    TEXT NOT NULL,
    pool      TEXT NOT NULL,
    class     TEXT NOT NULL,
    version   INTEGER NOT NULL,
    sustained INTEGER NOT NULL,
    part      INTEGER NOT NULL,
    whole     INTEGER NOT NULL,
    from_ms   INTEGER NOT NULL,
    until_ms  INTEGER NOT NULL,
    at_ms     INTEGER NOT NULL,
    work      INTEGER NOT NULL,
    cpu_ms    INTEGER NOT NULL,
    rule      INTEGER NOT NULL,
    price     INTEGER NOT NULL,
    cost      INTEGER NOT NULL,
    joules    INTEGER,
    mark      TEXT,
    carbon    INTEGER,
    PRIMARY KEY (job, task, attempt, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX meter_tenant ON meter (tenant, at_ms);
CREATE INDEX meter_centre ON meter (centre, at_ms);

CREATE TABLE tally (
    tenant TEXT PRIMARY KEY NOT NULL,
    data   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tariff_rule (
    id   INTEGER PRIMARY KEY,
    data TEXT NOT NULL
) STRICT;

CREATE TABLE oddity (
    id     INTEGER PRIMARY KEY,
    centre TEXT NOT NULL,
    at_ms  INTEGER NOT NULL,
    data   TEXT NOT NULL
) STRICT;

-- Where in the journal a centre, a pool or its capacity changed: what was there at a time is told by these entries.
CREATE TABLE centre_entry (
    seq INTEGER PRIMARY KEY
) STRICT;

INSERT INTO centre_entry (seq)
SELECT seq FROM journal
WHERE json_type(body, '$.command.set-centre') IS NOT NULL
   OR json_type(body, '$.command.set-centre-state') IS NOT NULL
   OR json_type(body, '$.command.set-presence') IS NOT NULL
   OR json_type(body, '$.command.add-window') IS NOT NULL
   OR json_type(body, '$.command.remove-window') IS NOT NULL
   OR json_type(body, '$.command.inventory') IS NOT NULL
   OR json_type(body, '$.command.rate') IS NOT NULL;
