-- +goose Up
CREATE TABLE ipam.pools (
    name       text PRIMARY KEY CHECK (name <> ''),
    site       text NOT NULL CHECK (site <> ''),
    role       text NOT NULL CHECK (role IN ('tenant', 'provisioning')),
    prefix     cidr NOT NULL,
    quarantine interval NOT NULL CHECK (quarantine >= interval '0'),
    EXCLUDE USING gist (prefix inet_ops WITH &&)
);
CREATE INDEX ON ipam.pools (site, role);

-- What is held, and what rests after its release until rests_until. The exclusion
-- constraint makes a double allocation impossible, whoever writes.
CREATE TABLE ipam.allocations (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool         text NOT NULL REFERENCES ipam.pools,
    owner        text NOT NULL CHECK (owner <> ''),
    prefix       cidr NOT NULL,
    allocated_at timestamptz NOT NULL DEFAULT now(),
    released_at  timestamptz,
    rests_until  timestamptz,
    CHECK ((released_at IS NULL) = (rests_until IS NULL)),
    CONSTRAINT allocations_apart EXCLUDE USING gist (prefix inet_ops WITH &&)
);
CREATE INDEX allocations_of_owner ON ipam.allocations (owner) WHERE released_at IS NULL;
CREATE UNIQUE INDEX allocations_once ON ipam.allocations (pool, owner) WHERE released_at IS NULL;
CREATE INDEX allocations_resting ON ipam.allocations (pool, rests_until) WHERE released_at IS NOT NULL;

-- What is free: ranges, as few as possible, never a row for each address. first and last
-- are host addresses.
CREATE TABLE ipam.gaps (
    pool  text NOT NULL REFERENCES ipam.pools ON DELETE CASCADE,
    first inet NOT NULL,
    last  inet NOT NULL CHECK (last >= first),
    PRIMARY KEY (pool, first)
);
CREATE UNIQUE INDEX ON ipam.gaps (pool, last);

-- +goose Down
DROP SCHEMA ipam CASCADE;
