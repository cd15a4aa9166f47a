-- Every entry of the journal has a hash over itself and the hash before it (crates/store/src/journal.rs). Entries of
-- older formats have none, and the first one that has a hash covers them: `hashed_after` is the last of them.

ALTER TABLE journal ADD COLUMN hash BLOB CHECK (hash IS NULL OR length(hash) = 32);

INSERT INTO meta (name, value)
SELECT 'hashed_after', CAST(COALESCE(MAX(seq), 0) AS TEXT) FROM journal;

-- A day ends both chains at once: its last entry stands beside its last transfer. Days of older formats name none.
ALTER TABLE ledger_day ADD COLUMN entry INTEGER;
ALTER TABLE ledger_day ADD COLUMN entry_hash BLOB CHECK (entry_hash IS NULL OR length(entry_hash) = 32);

-- The epoch is in no entry: a second note tells whether the first was altered.
INSERT INTO meta (name, value) SELECT 'epoch_copy', value FROM meta WHERE name = 'epoch';

-- Commands that came after format 3 and change what a centre has.
INSERT OR IGNORE INTO centre_entry (seq)
SELECT seq FROM journal
WHERE json_type(body, '$.command.add-centre') IS NOT NULL
   OR json_type(body, '$.command.resume') IS NOT NULL;
