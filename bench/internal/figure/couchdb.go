// CouchDB: a server of its protocol for several front doors.

package figure

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// couchdb is where the store is.
type couchdb struct {
	kind, url, user string
	env             []string // with the password
}

// openCouchDB finds the CouchDB of the environment, or starts npm's pouchdb-server.
func openCouchDB(e *Env) (store *couchdb, stop func(), err error) {
	l := &lender{folder: e.Folder}
	defer func() {
		if failed := recover(); failed != nil {
			l.end()
			var ok bool
			if err, ok = failed.(error); !ok {
				panic(failed)
			}
		}
	}()
	if url, user, password, ok := testkit.CouchDB(l); ok {
		return &couchdb{"CouchDB", url, user, []string{peer.PasswordVariable + "=" + password}}, l.end, nil
	}
	return &couchdb{kind: "npm's pouchdb-server, in memory", url: testkit.PouchDB(l).URL()}, l.end, nil
}

// lender lets the test kit, which is written for tests, serve a program: what it needs of a
// test is here, and anything else would be a nil pointer.
type lender struct {
	testing.TB
	folder   string
	cleanups []func()
}

func (l *lender) Helper() {}

func (l *lender) Cleanup(f func()) { l.cleanups = append(l.cleanups, f) }

// TempDir is removed with the folder of the run.
func (l *lender) TempDir() string {
	folder, err := os.MkdirTemp(l.folder, "couchdb-")
	if err != nil {
		panic(err)
	}
	return folder
}

// Fatal does not return, as that of a test.
func (l *lender) Fatal(args ...any) { panic(errors.New(fmt.Sprint(args...))) }

// Fatalf does not return either.
func (l *lender) Fatalf(format string, args ...any) { panic(fmt.Errorf(format, args...)) }

func (l *lender) end() {
	for i := len(l.cleanups) - 1; i >= 0; i-- {
		l.cleanups[i]()
	}
	l.cleanups = nil
}
