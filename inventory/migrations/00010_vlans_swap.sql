-- +goose Up

-- Two networks may change their VLANs in one declaration.
ALTER TABLE inventory.networks
    DROP CONSTRAINT networks_site_vlan_key,
    ADD CONSTRAINT networks_vlan UNIQUE (site, vlan) DEFERRABLE INITIALLY DEFERRED;

-- +goose Down
ALTER TABLE inventory.networks
    DROP CONSTRAINT networks_vlan,
    ADD CONSTRAINT networks_site_vlan_key UNIQUE (site, vlan);
