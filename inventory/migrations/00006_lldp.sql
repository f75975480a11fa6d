-- +goose Up

ALTER TABLE inventory.switches
    ADD COLUMN lldp boolean NOT NULL DEFAULT false; -- its ports speak LLDP: servers are asked what they are cabled to

-- +goose Down
ALTER TABLE inventory.switches DROP COLUMN lldp;
