-- +goose Up

-- VLANs that servers can be in, instead of having routed links.
CREATE TABLE inventory.networks (
    name     text PRIMARY KEY CHECK (name <> ''),
    site     text NOT NULL REFERENCES inventory.sites,
    vlan     integer NOT NULL CHECK (vlan BETWEEN 1 AND 4094),
    prefixes cidr[] NOT NULL, -- at most one of each family; the first address is the gateway's
    UNIQUE (site, vlan)
);

ALTER TABLE inventory.switches
    ADD COLUMN mtu integer NOT NULL DEFAULT 0 CHECK (mtu >= 0),    -- 0: the switch's own
    ADD COLUMN any_source boolean NOT NULL DEFAULT false,          -- hosts may send from addresses that are not routed to them
    ADD COLUMN reach cidr[] NOT NULL DEFAULT '{}',                 -- all that a server in provisioning may send to; anything where empty
    ADD COLUMN relay inet[] NOT NULL DEFAULT '{}',                 -- DHCP servers to relay to; where empty the relay is not Ferrodur's
    ADD COLUMN network text REFERENCES inventory.networks (name),  -- of servers in provisioning; routed where null
    ADD COLUMN circuit_id text NOT NULL DEFAULT '';                -- of option 82 there; the port's name where empty
ALTER TABLE inventory.asked_ports
    ADD COLUMN linked boolean NOT NULL DEFAULT false; -- the port had a link when it was last seen

-- +goose Down
ALTER TABLE inventory.asked_ports DROP COLUMN linked;
ALTER TABLE inventory.switches DROP COLUMN mtu, DROP COLUMN any_source, DROP COLUMN reach, DROP COLUMN relay, DROP COLUMN network, DROP COLUMN circuit_id;
DROP TABLE inventory.networks;
