-- +goose Up

-- What a switch's ports may have addresses of; any where the list is empty.
ALTER TABLE inventory.switches ADD COLUMN prefixes cidr[] NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE inventory.switches DROP COLUMN prefixes;
