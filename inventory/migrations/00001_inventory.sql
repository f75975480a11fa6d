-- +goose Up
CREATE TABLE inventory.sites (
    name        text PRIMARY KEY CHECK (name <> ''),
    description text NOT NULL
);

CREATE TABLE inventory.plans (
    name        text PRIMARY KEY CHECK (name <> ''),
    description text NOT NULL,
    threads     integer NOT NULL CHECK (threads >= 0),
    memory_mib  integer NOT NULL CHECK (memory_mib >= 0),
    disks       integer NOT NULL CHECK (disks >= 0),
    disk_bytes  bigint NOT NULL CHECK (disk_bytes >= 0)
);

CREATE TABLE inventory.images (
    name     text PRIMARY KEY CHECK (name <> ''),
    file     text NOT NULL CHECK (file <> ''),
    sha256   text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes    bigint NOT NULL CHECK (bytes > 0),
    ssh_user text NOT NULL CHECK (ssh_user <> '')
);

CREATE TABLE inventory.switches (
    name        text PRIMARY KEY CHECK (name <> ''),
    site        text NOT NULL REFERENCES inventory.sites,
    platform    text NOT NULL CHECK (platform <> ''),
    address     text NOT NULL CHECK (address <> ''),
    login       text NOT NULL,
    password    text NOT NULL, -- a reference, never the secret
    private_key text NOT NULL, -- a reference, never the secret
    host_key    text NOT NULL,
    dhcp_relay  text NOT NULL,
    UNIQUE (name, site)
);

CREATE TABLE inventory.ports (
    switch text NOT NULL REFERENCES inventory.switches,
    name   text NOT NULL CHECK (name <> ''),
    PRIMARY KEY (switch, name)
);

CREATE TABLE inventory.instances (
    id            text PRIMARY KEY CHECK (id <> ''),
    server        text, -- the last one, when ended; null only for an order that got none
    plan          text NOT NULL,
    site          text NOT NULL,
    image         text NOT NULL,
    hostname      text NOT NULL,
    state         text NOT NULL CHECK (state IN
        ('reserved', 'provisioning', 'active', 'returning', 'wiping', 'parked', 'ended')),
    reason        text NOT NULL DEFAULT '',
    ordered       timestamptz NOT NULL DEFAULT now(),
    usage_started timestamptz,
    usage_stopped timestamptz,
    ended         timestamptz,
    UNIQUE (id, server),
    CHECK ((state = 'ended') = (ended IS NOT NULL)),
    CHECK (state <> 'active' OR (usage_started IS NOT NULL AND usage_stopped IS NULL)),
    CHECK (usage_stopped IS NULL OR usage_stopped >= usage_started)
);

CREATE TABLE inventory.servers (
    name          text PRIMARY KEY CHECK (name <> ''),
    site          text NOT NULL REFERENCES inventory.sites,
    rack          text NOT NULL,
    plan          text NOT NULL REFERENCES inventory.plans,
    switch        text NOT NULL,
    port          text NOT NULL,
    mac           text NOT NULL CHECK (mac ~ '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$'),
    bmc_address   text NOT NULL CHECK (bmc_address <> ''),
    bmc_login     text NOT NULL,
    bmc_password  text NOT NULL, -- a reference, never the secret
    disk          text NOT NULL,
    cpu_threads   integer NOT NULL CHECK (cpu_threads >= 0),
    memory_mib    integer NOT NULL CHECK (memory_mib >= 0),
    disk_bytes    bigint NOT NULL CHECK (disk_bytes >= 0),
    hardware      jsonb,
    state         text NOT NULL DEFAULT 'enrolled' CHECK (state IN
        ('enrolled', 'inspecting', 'burning-in', 'available', 'reserved', 'provisioning', 'active', 'wiping',
         'parked', 'maintenance', 'retired')),
    state_reason  text NOT NULL DEFAULT '',
    instance      text UNIQUE, -- the tenancy that the server belongs to
    holder        text CHECK (holder <> ''), -- the workflow that alone may move it
    unwiped       text, -- the instance whose data may be on the disks

    -- Checked at commit, so that one change may swap two servers' ports.
    CONSTRAINT servers_port UNIQUE (switch, port) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT servers_mac UNIQUE (mac) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT servers_bmc UNIQUE (site, bmc_address) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT servers_switch_at_site FOREIGN KEY (switch, site)
        REFERENCES inventory.switches (name, site) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT servers_port_exists FOREIGN KEY (switch, port) REFERENCES inventory.ports,
    CONSTRAINT servers_own_instance FOREIGN KEY (instance, name) REFERENCES inventory.instances (id, server),
    CONSTRAINT servers_instance_holds CHECK (instance IS NULL OR holder IS NOT DISTINCT FROM instance),
    CONSTRAINT servers_let CHECK (state NOT IN ('reserved', 'provisioning', 'active') OR instance IS NOT NULL),
    CONSTRAINT servers_not_let CHECK (state NOT IN ('enrolled', 'inspecting', 'burning-in', 'available', 'retired') OR instance IS NULL),
    CONSTRAINT servers_available_is_free CHECK (state <> 'available' OR holder IS NULL),
    CONSTRAINT servers_available_is_wiped CHECK (state <> 'available' OR unwiped IS NULL)
);
CREATE INDEX ON inventory.servers (plan, site, state);

ALTER TABLE inventory.instances ADD FOREIGN KEY (server) REFERENCES inventory.servers;
CREATE UNIQUE INDEX instances_one_a_server ON inventory.instances (server) WHERE state <> 'ended';

CREATE TABLE inventory.events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server     text NOT NULL REFERENCES inventory.servers,
    from_state text NOT NULL,
    to_state   text NOT NULL,
    reason     text NOT NULL,
    actor      text NOT NULL,
    workflow   text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON inventory.events (server, id);

CREATE TABLE inventory.burn_ins (
    server text NOT NULL REFERENCES inventory.servers,
    key    text NOT NULL CHECK (key <> ''),
    report jsonb NOT NULL,
    stored timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (server, key)
);

CREATE TABLE inventory.wipes (
    server   text NOT NULL REFERENCES inventory.servers,
    key      text NOT NULL CHECK (key <> ''),
    instance text NOT NULL, -- '' for a wipe outside a tenancy
    clean    boolean NOT NULL,
    report   jsonb NOT NULL,
    stored   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (server, key)
);

CREATE TABLE inventory.user_data (
    instance text PRIMARY KEY CHECK (instance <> ''),
    content  bytea NOT NULL,
    stored   timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP SCHEMA inventory CASCADE;
