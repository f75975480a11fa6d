-- +goose Up

-- What an operator wants to be done with changes of the switch; mode is empty where nobody has said.
ALTER TABLE inventory.switches
    ADD COLUMN mode text NOT NULL DEFAULT '',
    ADD COLUMN mode_reason text NOT NULL DEFAULT '',
    ADD COLUMN mode_since timestamptz NOT NULL DEFAULT 'epoch';

-- +goose Down
ALTER TABLE inventory.switches DROP COLUMN mode, DROP COLUMN mode_reason, DROP COLUMN mode_since;
