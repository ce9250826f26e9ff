-- 64-bit identifiers are stored as the signed integer of the same bits.

CREATE TABLE counters (
    name  TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE devices (
    device          INTEGER PRIMARY KEY NOT NULL,
    hardware_id     INTEGER NOT NULL,
    target          TEXT NOT NULL,
    last_contact_ms INTEGER,
    model_version   INTEGER,
    model_hash      BLOB,
    model_trial     INTEGER NOT NULL DEFAULT 0
);

-- Everything a device logged, as it came. The key makes a duplicate free.
CREATE TABLE records (
    device      INTEGER NOT NULL REFERENCES devices,
    epoch       INTEGER NOT NULL,
    stream      INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    round       INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    body        BLOB NOT NULL,
    PRIMARY KEY (device, epoch, stream, sequence)
) WITHOUT ROWID;

-- Merged counts of a device's monitor: u32, little-endian, in the monitor's layout.
CREATE TABLE statistics (
    model  INTEGER NOT NULL,
    round  INTEGER NOT NULL,
    device INTEGER NOT NULL REFERENCES devices,
    counts BLOB NOT NULL,
    PRIMARY KEY (model, round, device)
) WITHOUT ROWID;

-- Raw windows that came home. state: 0 returned, 1 a label is asked for, 2 labelled.
CREATE TABLE samples (
    id         INTEGER PRIMARY KEY,
    device     INTEGER NOT NULL REFERENCES devices,
    epoch      INTEGER NOT NULL,
    window     INTEGER NOT NULL,
    round      INTEGER NOT NULL,
    model      INTEGER NOT NULL,
    class      INTEGER NOT NULL,
    confidence INTEGER NOT NULL,
    score      INTEGER NOT NULL,
    samples    BLOB NOT NULL,
    state      INTEGER NOT NULL DEFAULT 0,
    label      INTEGER,
    UNIQUE (device, epoch, window)
);
CREATE INDEX samples_by_state ON samples (state, round);

CREATE TABLE releases (
    version    INTEGER PRIMARY KEY NOT NULL,
    created_ms INTEGER NOT NULL,
    run        BLOB NOT NULL
);

CREATE TABLE images (
    version     INTEGER NOT NULL REFERENCES releases,
    hardware_id INTEGER NOT NULL,
    target      TEXT NOT NULL,
    image       BLOB NOT NULL,
    manifest    BLOB NOT NULL,
    signature   BLOB NOT NULL,
    PRIMARY KEY (version, hardware_id)
) WITHOUT ROWID;

-- Last state that a device reported of the update to a release.
CREATE TABLE updates (
    device      INTEGER NOT NULL REFERENCES devices,
    version     INTEGER NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    reported_ms INTEGER NOT NULL,
    PRIMARY KEY (device, version)
) WITHOUT ROWID;

-- Whether the drift test of a round raised the alarm; "since when" is read from here.
CREATE TABLE drift (
    version INTEGER NOT NULL,
    round   INTEGER NOT NULL,
    alarm   INTEGER NOT NULL,
    PRIMARY KEY (version, round)
) WITHOUT ROWID;
