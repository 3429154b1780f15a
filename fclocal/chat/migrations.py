"""The schema of the sessions file, one tuple of statements a version. Add at the end; never change what shipped."""

from __future__ import annotations

APPLICATION = 0x66636C31

_FIRST = (
    """CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        named INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        model TEXT NOT NULL,
        dialect TEXT NOT NULL,
        functions TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX sessions_by_update ON sessions (updated)",
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        at REAL NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'result')),
        text TEXT NOT NULL,
        thinking TEXT NOT NULL DEFAULT '',
        call TEXT,
        name TEXT NOT NULL DEFAULT '',
        ok INTEGER NOT NULL DEFAULT 1
    )""",
    "CREATE INDEX messages_by_session ON messages (session, id)",
    """CREATE TABLE calls (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        message INTEGER REFERENCES messages (id) ON DELETE CASCADE,
        call TEXT NOT NULL,
        name TEXT NOT NULL,
        arguments TEXT NOT NULL,
        receipt TEXT,
        verdict TEXT,
        edited TEXT,
        began REAL,
        ended REAL,
        ms REAL,
        ok INTEGER,
        UNIQUE (session, call)
    )""",
    "CREATE INDEX calls_by_message ON calls (message)",
    """CREATE VIRTUAL TABLE messages_text USING fts5 (
        text, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    )""",
    """CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
        INSERT INTO messages_text (rowid, text) VALUES (new.id, new.text);
    END""",
    """CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
        INSERT INTO messages_text (messages_text, rowid, text) VALUES ('delete', old.id, old.text);
    END""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
