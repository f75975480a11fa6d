-- +goose Up
-- The number of the link aggregation group that a server's uplinks are bonded in; 0: none.
ALTER TABLE inventory.servers ADD COLUMN bond integer NOT NULL DEFAULT 0 CHECK (bond BETWEEN 0 AND 1000);

-- +goose Down
ALTER TABLE inventory.servers DROP COLUMN bond;
