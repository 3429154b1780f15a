CREATE TABLE files(
  path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, sha256 TEXT NOT NULL, verified TEXT);
CREATE TABLE used(path TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE pulled(
  repo TEXT NOT NULL, commit_id TEXT NOT NULL, file TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY(repo, commit_id, file));
INSERT INTO files VALUES('{path}', {size}, {mtime}, '{sha256}', '2026-11-23T20:00:00+00:00');
INSERT INTO used VALUES('{path}', '2026-11-23T21:00:00+00:00');
INSERT INTO pulled VALUES('owner/repo', '{commit}', 'model.Q8_0.gguf', '2026-11-23T19:00:00+00:00');
