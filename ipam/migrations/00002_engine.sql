-- +goose Up

-- A routing domain (VRF) is an address space of its own. Each has a partition of the
-- tables below, because PostgreSQL's exclusion constraint over a radix tree (SP-GiST,
-- some twenty times as fast here as GiST) takes no second column: what is in one
-- partition is apart, whoever writes.
CREATE TABLE ipam.domains (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name <> ''),
    description text NOT NULL DEFAULT ''
);

-- The old tables keep their names, and those of their indexes, out of the way.
CREATE SCHEMA ipam_before;
ALTER TABLE ipam.pools SET SCHEMA ipam_before;
ALTER TABLE ipam.allocations SET SCHEMA ipam_before;
ALTER TABLE ipam.gaps SET SCHEMA ipam_before;

-- The tree of prefixes. Containers hold others; allocations come out of pools; nothing
-- comes out of what is reserved.
CREATE SEQUENCE ipam.prefix_id AS bigint;
CREATE TABLE ipam.prefixes (
    domain      integer NOT NULL REFERENCES ipam.domains,
    id          bigint NOT NULL DEFAULT nextval('ipam.prefix_id'),
    prefix      cidr NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('container', 'pool', 'reserved')),
    name        text NOT NULL DEFAULT '', -- of a pool, for people
    site        text NOT NULL DEFAULT '',
    role        text NOT NULL DEFAULT '', -- of a pool: what its addresses are for
    plan        text NOT NULL DEFAULT '', -- of a pool: for this plan only
    tenant      text NOT NULL DEFAULT '', -- of a pool: for this tenant only
    quarantine  interval NOT NULL DEFAULT '0' CHECK (quarantine >= interval '0'),
    threshold   smallint NOT NULL DEFAULT 90 CHECK (threshold BETWEEN 1 AND 100), -- percent
    source      text NOT NULL DEFAULT '', -- of a pool: the outside system that is the truth for it
    tags        text[] NOT NULL DEFAULT '{}',
    description text NOT NULL DEFAULT '',
    PRIMARY KEY (domain, id),
    UNIQUE (domain, prefix),
    CHECK (kind <> 'pool' OR (name <> '' AND site <> '' AND role <> ''))
) PARTITION BY LIST (domain);
CREATE INDEX pools_by_name ON ipam.prefixes (name) WHERE kind = 'pool';
CREATE INDEX pools_by_use ON ipam.prefixes (site, role) WHERE kind = 'pool';

-- What is held; what rests after its release until rests_until; what is reserved. There is
-- no foreign key to the pool, whose check would cost each row more than its indexes do: a
-- trigger keeps pools that are used.
CREATE TABLE ipam.allocations (
    domain       integer NOT NULL,
    pool         bigint NOT NULL,
    prefix       cidr NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('link', 'address', 'block', 'elastic', 'reserved')),
    owner        text NOT NULL CHECK (owner <> ''),
    name         text NOT NULL DEFAULT '', -- tells an owner's allocations apart
    tenant       text NOT NULL DEFAULT '', -- whose limit it counts against
    instance     text NOT NULL DEFAULT '', -- of an elastic block: where it is now
    reason       text NOT NULL DEFAULT '', -- of a reservation
    allocated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at  timestamptz,
    rests_until  timestamptz,
    CHECK ((released_at IS NULL) = (rests_until IS NULL))
) PARTITION BY LIST (domain);
CREATE INDEX allocations_of_tenant ON ipam.allocations (tenant) WHERE released_at IS NULL AND tenant <> '';
CREATE INDEX allocations_reserved ON ipam.allocations (pool) WHERE kind = 'reserved';
CREATE INDEX allocations_resting ON ipam.allocations (pool, rests_until) WHERE released_at IS NOT NULL;

-- Who asked an outside system for addresses of a pool, before it answered.
CREATE TABLE ipam.asked (
    owner text NOT NULL,
    pool  bigint NOT NULL,
    PRIMARY KEY (owner, pool)
);

-- What is free of a pool: blocks as large as alignment allows, never a row for each address.
CREATE TABLE ipam.free (
    pool   bigint NOT NULL,
    prefix cidr NOT NULL,
    bits   smallint NOT NULL GENERATED ALWAYS AS (masklen(prefix)) STORED,
    PRIMARY KEY (pool, prefix)
);
CREATE INDEX free_by_size ON ipam.free (pool, bits DESC, prefix);

-- How many addresses of a family a tenant may hold, in all domains.
CREATE TABLE ipam.limits (
    tenant    text NOT NULL CHECK (tenant <> ''),
    family    smallint NOT NULL CHECK (family IN (4, 6)),
    addresses float8 NOT NULL CHECK (addresses >= 0),
    PRIMARY KEY (tenant, family)
);

-- Every change. No foreign keys: it outlives what it tells of. What was given or taken
-- back is in the columns; before and after tell what else was changed. The time orders
-- what happened to one prefix: each holder waits for the one before him.
CREATE TABLE ipam.history (
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    domain   integer NOT NULL,
    prefix   cidr NOT NULL,
    action   text NOT NULL,
    kind     text NOT NULL,
    owner    text NOT NULL DEFAULT '',
    name     text NOT NULL DEFAULT '',
    tenant   text NOT NULL DEFAULT '',
    actor    text NOT NULL DEFAULT '', -- who asked
    workflow text NOT NULL DEFAULT '', -- on behalf of which workflow
    before   jsonb,
    after    jsonb
);
CREATE INDEX history_of_prefix ON ipam.history (prefix, domain, at);
CREATE INDEX history_of_owner ON ipam.history USING hash (owner);

-- +goose StatementBegin
CREATE FUNCTION ipam.keep_used_pool() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.kind = 'pool' AND EXISTS (SELECT FROM ipam.allocations WHERE domain = OLD.domain AND prefix <<= OLD.prefix) THEN
        RAISE EXCEPTION 'pool % has allocations', OLD.name USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'keep_used_pool';
    END IF;
    RETURN OLD;
END $$;
-- +goose StatementEnd
CREATE TRIGGER keep_used_pool BEFORE DELETE ON ipam.prefixes FOR EACH ROW EXECUTE FUNCTION ipam.keep_used_pool();

-- +goose StatementBegin
CREATE FUNCTION ipam.create_domain(name text, description text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    new integer;
BEGIN
    INSERT INTO ipam.domains (name, description) VALUES (name, description) RETURNING id INTO new;
    EXECUTE format($sql$
        CREATE TABLE ipam.prefixes_%1$s (LIKE ipam.prefixes INCLUDING ALL,
            CONSTRAINT pools_apart_%1$s EXCLUDE USING spgist (prefix inet_ops WITH &&) WHERE (kind <> 'container'));
        CREATE UNIQUE INDEX pools_once_%1$s ON ipam.prefixes_%1$s (name) WHERE kind = 'pool';
        ALTER TABLE ipam.prefixes ATTACH PARTITION ipam.prefixes_%1$s FOR VALUES IN (%1$s);
        CREATE TABLE ipam.allocations_%1$s (LIKE ipam.allocations INCLUDING ALL,
            CONSTRAINT allocations_apart_%1$s EXCLUDE USING spgist (prefix inet_ops WITH &&));
        CREATE UNIQUE INDEX allocations_once_%1$s ON ipam.allocations_%1$s (owner, name, family(prefix)) WHERE released_at IS NULL;
        ALTER TABLE ipam.allocations ATTACH PARTITION ipam.allocations_%1$s FOR VALUES IN (%1$s)
    $sql$, new);
    RETURN new;
END $$;
-- +goose StatementEnd

SELECT ipam.create_domain('default', 'the address space that is routed');

INSERT INTO ipam.prefixes (domain, prefix, kind, name, site, role, quarantine)
    SELECT 1, prefix, 'pool', name, site, role, quarantine FROM ipam_before.pools;
INSERT INTO ipam.allocations (domain, pool, prefix, kind, owner, name, allocated_at, released_at, rests_until)
    SELECT 1, p.id, a.prefix, 'link', a.owner, p.role, a.allocated_at, a.released_at, a.rests_until
    FROM ipam_before.allocations a JOIN ipam.prefixes p ON p.name = a.pool;

-- A range of free addresses becomes aligned blocks, from the low end: the largest block
-- that starts there and does not go past the range's end.
-- +goose StatementBegin
DO $$
DECLARE
    gap record;
    at inet;
    bits integer;
BEGIN
    FOR gap IN SELECT p.id AS pool, p.prefix, g.first, g.last FROM ipam_before.gaps g JOIN ipam.prefixes p ON p.name = g.pool LOOP
        at := gap.first;
        LOOP
            bits := masklen(gap.prefix);
            WHILE host(network(set_masklen(at, bits)))::inet <> host(at)::inet
                  OR host(broadcast(set_masklen(at, bits)))::inet > gap.last LOOP
                bits := bits + 1;
            END LOOP;
            INSERT INTO ipam.free (pool, prefix) VALUES (gap.pool, set_masklen(at, bits)::cidr);
            EXIT WHEN host(broadcast(set_masklen(at, bits)))::inet >= gap.last;
            at := host(broadcast(set_masklen(at, bits)))::inet + 1;
        END LOOP;
    END LOOP;
END $$;
-- +goose StatementEnd

DROP SCHEMA ipam_before CASCADE;

-- +goose Down
DROP SCHEMA ipam CASCADE;
