-- Every transfer has a hash over itself and the hash before it (crates/ledger/src/chain.rs). Transfers of format 1
-- have none: the first one that has a hash covers them, too.

ALTER TABLE transfer ADD COLUMN hash BLOB CHECK (hash IS NULL OR length(hash) = 32);

-- How far the chain had come at the end of each day in UTC on which something was booked.
CREATE TABLE ledger_day (
    day       INTEGER PRIMARY KEY, -- days after 1970-01-01
    transfers INTEGER NOT NULL,    -- how many there were then
    hash      BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
