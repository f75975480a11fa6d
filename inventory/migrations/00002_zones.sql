-- +goose Up

-- The zones of the DNS that a site's servers and their addresses have names in.
CREATE TABLE inventory.zones (
    name      text NOT NULL CHECK (name <> ''),
    site      text NOT NULL REFERENCES inventory.sites,
    server    text NOT NULL CHECK (server <> ''),
    key       text NOT NULL CHECK (key <> ''),
    algorithm text NOT NULL CHECK (algorithm <> ''),
    secret    text NOT NULL CHECK (secret <> ''), -- a reference, never the secret
    PRIMARY KEY (site, name)
);

-- +goose Down
DROP TABLE inventory.zones;
