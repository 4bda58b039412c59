package db

import (
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"
)

const (
	// busyTimeout is how long a foreign tool may hold the file before a
	// statement fails.
	busyTimeout = 5 * time.Second
	// maxStatements bounds the prepared statements kept per connection.
	maxStatements = 128
)

// Conn runs statements on one connection. It belongs to the function it was
// given to and to that function's goroutine.
type Conn struct {
	raw        *sqlite3.Conn
	statements map[string]*sqlite3.Stmt
}

// Tx is a connection within a write transaction.
type Tx struct{ Conn }

func newConn(raw *sqlite3.Conn) *Conn {
	return &Conn{raw: raw, statements: make(map[string]*sqlite3.Stmt)}
}

// Exec runs one statement. Arguments are nil, bool, int, int64, uint32,
// float64, string or []byte, in the order of the statement's parameters.
func (c *Conn) Exec(sql string, args ...any) error {
	stmt, done, err := c.checkOut(sql)
	if err != nil {
		return err
	}
	err = bind(stmt, args)
	if err == nil {
		err = stmt.Exec()
	}
	return done(err)
}

// Query runs one statement and calls scan for each row; scan's error ends it.
// The values that scan reads from the statement are valid during that call.
func (c *Conn) Query(sql string, scan func(*sqlite3.Stmt) error, args ...any) error {
	stmt, done, err := c.checkOut(sql)
	if err != nil {
		return err
	}
	err = bind(stmt, args)
	for err == nil && stmt.Step() {
		err = scan(stmt)
	}
	if err == nil {
		err = stmt.Err()
	}
	return done(err)
}

// Prepare gives the connection's statement for sql, to be bound and executed
// by hand where boxing every argument would cost too much. The statement stays
// the connection's: do not close it, leave it reset, and do not keep it beyond
// the transaction.
func (c *Conn) Prepare(sql string) (*sqlite3.Stmt, error) {
	if stmt, ok := c.statements[sql]; ok {
		return stmt, nil
	}
	stmt, err := c.compile(sql)
	if err != nil {
		return nil, err
	}
	if len(c.statements) >= maxStatements {
		for old, s := range c.statements {
			if s.Busy() {
				continue
			}
			delete(c.statements, old)
			if err := s.Close(); err != nil {
				return nil, err
			}
			break
		}
	}
	c.statements[sql] = stmt
	return stmt, nil
}

// Changes is the number of rows that the last statement changed.
func (c *Conn) Changes() int { return int(c.raw.Changes()) }

// LastInsertID is the rowid of the last row inserted.
func (c *Conn) LastInsertID() int64 { return c.raw.LastInsertRowID() }

// Savepoint runs fn and undoes what it changed if it fails. Where the failure
// took the whole transaction with it (a full disk may), the error says so by
// ErrRolledBack.
func (t *Tx) Savepoint(fn func() error) error {
	if err := t.Exec(`SAVEPOINT part`); err != nil {
		return err
	}
	err := protect(fn)
	if err == nil {
		return t.Exec(`RELEASE part`)
	}
	if t.raw.GetAutocommit() {
		return fmt.Errorf("%w: %w", ErrRolledBack, err)
	}
	if undo := t.Exec(`ROLLBACK TO part`); undo != nil {
		return fmt.Errorf("%w (undo: %w)", err, undo)
	}
	if undo := t.Exec(`RELEASE part`); undo != nil {
		return fmt.Errorf("%w (undo: %w)", err, undo)
	}
	return err
}

// checkOut gives a statement that nobody is stepping through. done resets it
// and gives the first error.
func (c *Conn) checkOut(sql string) (stmt *sqlite3.Stmt, done func(error) error, err error) {
	stmt, err = c.Prepare(sql)
	if err != nil {
		return nil, nil, err
	}
	if !stmt.Busy() {
		return stmt, func(err error) error {
			if reset := stmt.Reset(); err == nil {
				err = reset
			}
			return err
		}, nil
	}
	stmt, err = c.compile(sql) // in use further up the stack
	if err != nil {
		return nil, nil, err
	}
	return stmt, func(err error) error {
		if shut := stmt.Close(); err == nil {
			err = shut
		}
		return err
	}, nil
}

func (c *Conn) compile(sql string) (*sqlite3.Stmt, error) {
	stmt, tail, err := c.raw.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", sql, err)
	}
	if stmt == nil || tail != "" {
		_ = stmt.Close()
		return nil, fmt.Errorf("prepare %q: not exactly one statement", sql)
	}
	return stmt, nil
}

func (c *Conn) shut() error {
	for _, stmt := range c.statements {
		_ = stmt.Close() // repeats the error of its last execution
	}
	return c.raw.Close()
}

func bind(stmt *sqlite3.Stmt, args []any) error {
	if n := stmt.BindCount(); n != len(args) {
		return fmt.Errorf("bind %q: %d arguments for %d parameters", stmt.SQL(), len(args), n)
	}
	for i, arg := range args {
		if err := bindOne(stmt, i+1, arg); err != nil {
			return fmt.Errorf("bind parameter %d of %q: %w", i+1, stmt.SQL(), err)
		}
	}
	return nil
}

func bindOne(stmt *sqlite3.Stmt, at int, arg any) error {
	switch v := arg.(type) {
	case nil:
		return stmt.BindNull(at)
	case bool:
		return stmt.BindBool(at, v)
	case int:
		return stmt.BindInt(at, v)
	case int64:
		return stmt.BindInt64(at, v)
	case uint32:
		return stmt.BindInt64(at, int64(v))
	case float64:
		return stmt.BindFloat(at, v)
	case string:
		return stmt.BindText(at, v)
	case []byte:
		return stmt.BindBlob(at, v)
	default:
		return fmt.Errorf("type %T has no place in the database", arg)
	}
}
