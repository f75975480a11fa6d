-- +goose Up

-- Cables of servers beside the one that they boot by, which is in their own row.
CREATE TABLE inventory.uplinks (
    server text NOT NULL REFERENCES inventory.servers ON DELETE CASCADE,
    place  integer NOT NULL CHECK (place > 0), -- in the order of their declaration
    switch text NOT NULL,
    port   text NOT NULL,
    mac    text NOT NULL CHECK (mac ~ '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$'),
    PRIMARY KEY (server, place),
    CONSTRAINT uplinks_port UNIQUE (switch, port) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT uplinks_mac UNIQUE (mac) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT uplinks_port_exists FOREIGN KEY (switch, port) REFERENCES inventory.ports
);

-- +goose Down
DROP TABLE inventory.uplinks;
