-- What tenants and centres agreed on, and the contract that priced a row of the meter with what the tariff asked then.

CREATE TABLE contract (
    id   INTEGER PRIMARY KEY,
    data TEXT NOT NULL
) STRICT;

ALTER TABLE meter ADD COLUMN contract INTEGER;
ALTER TABLE meter ADD COLUMN list_price INTEGER;
