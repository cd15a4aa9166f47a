-- The journal is the history; the other tables are the state that its fold gives.
-- `data` is the JSON of the row's type in crates/model; columns beside it exist for queries only.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    version INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    tenant  TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE tenant (
    id   TEXT PRIMARY KEY NOT NULL,
    data TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE centre (
    id   TEXT PRIMARY KEY NOT NULL,
    data TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    id      INTEGER PRIMARY KEY,
    tenant  TEXT NOT NULL,
    project TEXT NOT NULL,
    actor   TEXT NOT NULL,
    state   TEXT NOT NULL,
    data    TEXT NOT NULL
) STRICT;

CREATE INDEX job_live ON job (id) WHERE state IN ('waiting', 'running');

CREATE TABLE attempt (
    job     INTEGER NOT NULL,
    task    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    centre  TEXT NOT NULL,
    state   TEXT NOT NULL,
    data    TEXT NOT NULL,
    PRIMARY KEY (job, task, attempt)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_live ON attempt (job) WHERE state IN ('placed', 'running');

CREATE TABLE idempotency_key (
    tenant    TEXT NOT NULL,
    key       TEXT NOT NULL,
    job       INTEGER NOT NULL,
    spec_hash TEXT NOT NULL,
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE balance (
    account TEXT NOT NULL,
    asset   TEXT NOT NULL,
    amount  TEXT NOT NULL,
    PRIMARY KEY (account, asset)
) STRICT, WITHOUT ROWID;

CREATE TABLE transfer (
    id      INTEGER PRIMARY KEY,
    seq     INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    asset   TEXT NOT NULL,
    debit   TEXT NOT NULL,
    credit  TEXT NOT NULL,
    amount  INTEGER NOT NULL CHECK (amount > 0),
    job     INTEGER,
    task    INTEGER,
    attempt INTEGER
) STRICT;
