-- Small facts, by name.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value ANY
) STRICT, WITHOUT ROWID;

-- Items that wait or are leased. id = class << 56 | sequence, so the primary
-- key is the order of delivery. crc is CRC-32C of payload and metadata.
CREATE TABLE queue (
  id          INTEGER PRIMARY KEY,
  source      TEXT    NOT NULL,
  priority    INTEGER NOT NULL,
  samples     INTEGER NOT NULL,
  attempts    INTEGER NOT NULL,
  enqueued_us INTEGER NOT NULL,
  crc         INTEGER NOT NULL,
  payload     BLOB,
  metadata    TEXT,
  first_error TEXT,
  last_error  TEXT
) STRICT;

CREATE TABLE dead_letters (
  id          INTEGER PRIMARY KEY, -- as it was in the queue
  source      TEXT    NOT NULL,
  priority    INTEGER NOT NULL,
  samples     INTEGER NOT NULL,
  attempts    INTEGER NOT NULL,
  enqueued_us INTEGER NOT NULL,
  crc         INTEGER NOT NULL,
  payload     BLOB,
  metadata    TEXT,
  first_error TEXT,
  last_error  TEXT,
  reason      TEXT    NOT NULL,
  died_us     INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letters_by_age ON dead_letters (died_us, id);

-- What lies in queue (dead = 0) and dead_letters (dead = 1), kept by the same
-- transactions, so that a start need not count.
CREATE TABLE queue_totals (
  dead    INTEGER NOT NULL,
  class   INTEGER NOT NULL, -- id >> 56
  source  TEXT    NOT NULL,
  items   INTEGER NOT NULL,
  samples INTEGER NOT NULL,
  PRIMARY KEY (dead, class, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_sets (
  id     BLOB PRIMARY KEY, -- SHA-256 of body
  source TEXT NOT NULL,
  body   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE captures (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  source     TEXT NOT NULL,
  started_us INTEGER,
  ended_us   INTEGER,
  time_base  TEXT NOT NULL,
  attributes TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

-- Live batches in the order of their commit, until they are sealed.
CREATE TABLE chunks (
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  capture  TEXT    NOT NULL,
  batch    BLOB    NOT NULL,
  set_id   BLOB    NOT NULL,
  first_us INTEGER NOT NULL,
  last_us  INTEGER NOT NULL,
  samples  INTEGER NOT NULL,
  body     BLOB    NOT NULL
) STRICT;
CREATE INDEX chunks_by_capture ON chunks (capture, seq, first_us, last_us, samples);

-- Intervals of batch ordinals that were stored, so that a batch is recognised
-- for ever.
CREATE TABLE stored_batches (
  prefix BLOB    NOT NULL,
  first  INTEGER NOT NULL,
  last   INTEGER NOT NULL,
  PRIMARY KEY (prefix, first)
) STRICT, WITHOUT ROWID;

-- Sealed files. A row replaces its capture's chunks up to last_chunk: from
-- then on those do not count and are deleted little by little.
CREATE TABLE segments (
  capture    TEXT    NOT NULL,
  number     INTEGER NOT NULL,
  last_chunk INTEGER NOT NULL,
  path       TEXT    NOT NULL,
  first_us   INTEGER NOT NULL,
  last_us    INTEGER NOT NULL,
  samples    INTEGER NOT NULL,
  bytes      INTEGER NOT NULL,
  channels   TEXT    NOT NULL, -- JSON
  PRIMARY KEY (capture, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  id         TEXT PRIMARY KEY,
  capture    TEXT NOT NULL,
  kind       TEXT NOT NULL,
  source     TEXT NOT NULL,
  name       TEXT NOT NULL,
  notes      TEXT NOT NULL,
  tags       TEXT NOT NULL, -- JSON
  started_us INTEGER,
  ended_us   INTEGER,
  created_us INTEGER NOT NULL,
  summary    TEXT -- JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_capture ON runs (capture);

CREATE TABLE cursors (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
