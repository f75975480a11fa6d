-- +goose Up

-- A boot target. Ended targets stay for a while without their secrets, so that a late
-- call under their ID is told apart from a new one.
CREATE TABLE bootsvc.targets (
    id              text        PRIMARY KEY,
    server          text        NOT NULL,
    mac             macaddr     NOT NULL,
    relay_port      text        NOT NULL,
    relay           inet,
    address         inet        NOT NULL,              -- of the server on its link, with prefix length
    kind            text        NOT NULL,
    spec            jsonb,                             -- install order or burn-in; holds user data
    token_key       bytea,                             -- both tokens are derived from it
    token_hash      bytea       UNIQUE,                -- SHA-256 of the agent's token

    phase           text        NOT NULL DEFAULT 'waiting',
    reached         jsonb       NOT NULL DEFAULT '{}', -- phase → first time
    done            bigint      NOT NULL DEFAULT 0,
    total           bigint      NOT NULL DEFAULT 0,
    message         text        NOT NULL DEFAULT '',
    heard_at        timestamptz,
    trouble         text        NOT NULL DEFAULT '',
    trouble_at      timestamptz,
    result          json,                              -- tools may print NUL, which jsonb refuses
    release         text,
    revision        bigint      NOT NULL DEFAULT 1,

    set_at          timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz,
    CONSTRAINT no_secret_outlives_its_target CHECK
        (ended_at IS NULL OR (spec IS NULL AND token_key IS NULL AND token_hash IS NULL))
);
CREATE UNIQUE INDEX one_live_target_per_server  ON bootsvc.targets (server)          WHERE ended_at IS NULL;
CREATE UNIQUE INDEX one_live_target_per_mac     ON bootsvc.targets (mac)             WHERE ended_at IS NULL;
CREATE UNIQUE INDEX one_live_target_per_address ON bootsvc.targets (host(address))   WHERE ended_at IS NULL;

-- Whether an installed instance was heard from. The token itself is stored nowhere.
CREATE TABLE bootsvc.call_homes (
    instance        text        PRIMARY KEY,
    target          text        NOT NULL,
    token_hash      bytea       NOT NULL UNIQUE,
    called_at       timestamptz,
    remote          inet,
    hostname        text        NOT NULL DEFAULT '',
    host_keys       text[]      NOT NULL DEFAULT '{}'
);

-- +goose Down
DROP TABLE bootsvc.call_homes;
DROP TABLE bootsvc.targets;
