-- +goose Up

-- What was last asked for each port and carried out: what the port should be. asked is in
-- the words of whoever asks.
CREATE TABLE inventory.asked_ports (
    switch   text NOT NULL,
    port     text NOT NULL,
    server   text NOT NULL,
    asked    jsonb NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (switch, port),
    FOREIGN KEY (switch, port) REFERENCES inventory.ports (switch, name) ON UPDATE CASCADE ON DELETE CASCADE
);

-- Ports that were not what was asked for when the switch was last compared.
CREATE TABLE inventory.drift (
    switch  text NOT NULL REFERENCES inventory.switches (name) ON DELETE CASCADE,
    port    text NOT NULL,
    server  text NOT NULL DEFAULT '',
    lines   text[] NOT NULL DEFAULT '{}', -- that lead to what was asked for
    problem text NOT NULL DEFAULT '',     -- where lines do not say it
    since   timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (switch, port)
);
ALTER TABLE inventory.switches
    ADD COLUMN heal boolean NOT NULL DEFAULT false, -- drift is undone, and not only shown
    ADD COLUMN audited_at timestamptz,
    ADD COLUMN asn bigint NOT NULL DEFAULT 0 CHECK (asn BETWEEN 0 AND 4294967295),
    ADD COLUMN vlans integer[] NOT NULL DEFAULT '{}'; -- that its ports may have; any where empty

-- +goose Down
ALTER TABLE inventory.switches DROP COLUMN heal, DROP COLUMN audited_at, DROP COLUMN asn, DROP COLUMN vlans;
DROP TABLE inventory.drift;
DROP TABLE inventory.asked_ports;
