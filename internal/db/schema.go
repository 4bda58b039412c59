package db

import (
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
)

// applicationID marks a database as dynotap's ("dyno", PRAGMA application_id).
const applicationID = 0x64796e6f

//go:embed migrations/*.sql
var migrationFS embed.FS

// SchemaVersion is the version this program writes (PRAGMA user_version).
func SchemaVersion() (int, error) {
	entries, err := migrationFS.ReadDir("migrations")
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	return len(entries), nil
}

// checkVersion gives the schema's version, 0 for an empty file, and refuses
// what this program must not touch.
func checkVersion(conn *Conn) (int, error) {
	newest, err := SchemaVersion()
	if err != nil {
		return 0, err
	}
	version, err := pragma(conn, "user_version")
	if err != nil {
		return 0, err
	}
	if err := checkOwner(conn, version); err != nil {
		return 0, err
	}
	if version > newest {
		return 0, errNewer(version, newest)
	}
	return version, nil
}

func errNewer(version, newest int) error {
	return fmt.Errorf("%w: it has schema %d, this program knows up to %d: use a newer dynotap, or another directory with --data", ErrNewer, version, newest)
}

// migrate brings the schema from one version to another, one transaction a
// step.
func migrate(conn *Conn, version, to int) error {
	for ; version < to; version++ {
		name := fmt.Sprintf("migrations/%04d.sql", version+1)
		script, err := migrationFS.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read migration: %w", err)
		}
		step := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
			script, applicationID, version+1)
		if err := conn.raw.Exec(step); err != nil {
			if !conn.raw.GetAutocommit() {
				err = errors.Join(err, conn.raw.Exec(`ROLLBACK`))
			}
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// checkOwner refuses somebody else's database.
func checkOwner(conn *Conn, version int) error {
	owner, err := pragma(conn, "application_id")
	if err != nil || owner == applicationID {
		return err
	}
	tables := 0
	err = conn.Query(`SELECT count(*) FROM sqlite_schema`, func(s *sqlite3.Stmt) error {
		tables = s.ColumnInt(0)
		return nil
	})
	if err == nil && (owner != 0 || version != 0 || tables != 0) {
		err = errForeign("it is the database of another program")
	}
	return err
}

func pragma(conn *Conn, name string) (value int, err error) {
	err = conn.Query(`PRAGMA `+name, func(s *sqlite3.Stmt) error {
		value = s.ColumnInt(0)
		return nil
	})
	return value, err
}

// createPrivate makes the file readable for its owner only, before SQLite
// would create it for all.
func createPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	return file.Close()
}

// uriOf names the file for SQLite.
func uriOf(path, vfs string) string {
	uri := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()}
	uri.RawQuery = url.Values{"vfs": {vfs}}.Encode()
	return uri.String()
}
