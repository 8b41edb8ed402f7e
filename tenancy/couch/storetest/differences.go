// Differences: where a server differs from CouchDB's documentation, and what is done.

package storetest

import "slices"

// Server is a server that the suite runs against.
type Server string

// The servers.
const (
	CouchDB  Server = "CouchDB"
	Embedded Server = "the embedded store"
	PouchDB  Server = "npm's pouchdb-server"
)

// Names of differences, for the suite to ask for.
const (
	BornUnknown        = "birth unknown"
	DeleteDeleted      = "deletion of a deletion"
	DestroyUnknowing   = "destruction of nothing"
	FeedRevives        = "feed revives a database"
	FieldIsFailure     = "bad field is a failure"
	IntegersAreDoubles = "integers are doubles"
	LatinIDsListed     = "ids beyond Latin-1 unlisted"
	NoFeedTimeout      = "feed without a timeout"
	NoSizeLimit        = "no limit of size"
	SequencesAreCounts = "sequences are counts"
	SlashLeftOut       = "slash left out"
)

// Difference is one way in which a server is not what the documentation says.
type Difference struct {
	Name       string
	Servers    []Server
	Documented string // what the documentation says, and where
	Does       string // what the server does
	Handling   string // what is done about it
}

// docs is where CouchDB's documentation is.
const docs = "https://docs.couchdb.org/en/stable/"

// Differences is the table. What couch.Cluster hides stands in the second part, for
// which the suite has no exception.
var Differences = []Difference{
	{
		Name: BornUnknown, Servers: []Server{PouchDB},
		Documented: "instance_start_time is when the database was created; " + docs + "api/database/common.html#get--db",
		Does:       "it is when the server was started, the same for every database",
		Handling:   "Info.Born is empty, which says that the server does not tell",
	},
	{
		Name: DeleteDeleted, Servers: []Server{PouchDB},
		Documented: "DELETE of a deleted document is a 404; " + docs + "api/document/common.html#delete--db-docid",
		Does:       "with the revision of the deletion it is another deletion",
		Handling:   "none: nothing is left behind either way",
	},
	{
		Name: DestroyUnknowing, Servers: []Server{PouchDB},
		Documented: "DELETE of a database that does not exist is a 404; " + docs + "api/database/common.html#delete--db",
		Does:       "it is a 200",
		Handling:   "none: DestroyDB succeeds either way, and existed is for people",
	},
	{
		Name: FeedRevives, Servers: []Server{PouchDB},
		Documented: "a database is created by PUT alone; " + docs + "api/database/common.html#put--db",
		Does:       "a request that arrives while its database is destroyed may create it anew, empty",
		Handling:   "none: it is a race of the server; the suite destroys it once more",
	},
	{
		Name: FieldIsFailure, Servers: []Server{PouchDB},
		Documented: "an unknown field that begins with an underscore is a 400; " + docs + "api/document/common.html#put--db-docid",
		Does:       "it is a 500",
		Handling:   "none: the error is an ErrUnavailable instead of an ErrRefused; nothing writes such fields",
	},
	{
		Name: IntegersAreDoubles, Servers: []Server{PouchDB},
		Documented: "only numbers with a decimal point or an exponent pass through a double; " + docs + "api/basics.html#number-handling",
		Does:       "every number is a double, as in JavaScript: integers beyond 2^53 change",
		Handling:   "none: an instance's only large number, disk_quota, is a string",
	},
	{
		Name: LatinIDsListed, Servers: []Server{PouchDB},
		Documented: "_all_docs gives all documents; " + docs + "api/database/bulk-api.html#get--db-_all_docs",
		Does:       "a list without an endkey leaves out ids that begin with a character beyond U+00FF; they are found by id, in the feed, and by a list with an endkey",
		Handling:   "none: ids of our own are ASCII (A-labels, hexadecimal)",
	},
	{
		Name: NoFeedTimeout, Servers: []Server{PouchDB},
		Documented: "a longpoll ends after timeout milliseconds; " + docs + "api/database/changes.html#get--db-_changes",
		Does:       "it never ends without a change, and sends a newline every 6 s",
		Handling:   "the first newline after Feed.Wait ends it, as an answer without changes, up to 6 s late",
	},
	{
		Name: NoSizeLimit, Servers: []Server{PouchDB},
		Documented: "a document of more than 8,000,000 bytes is a 413; " + docs + "config/couchdb.html#couchdb/max_document_size",
		Does:       "it takes up to 4 GB",
		Handling:   "none below the 16 MiB that couch.Cluster sends at all",
	},
	{
		Name: SequencesAreCounts, Servers: []Server{PouchDB},
		Documented: "a sequence is an opaque text, which its own database knows again; " + docs + "api/database/changes.html#changes",
		Does:       "it is 1, 2, 3, whatever the database; text that is no number means now",
		Handling:   "a number beyond the database's last is an ErrRefused, found by asking for Info; a smaller foreign one cannot be told",
	},
	{
		Name: SlashLeftOut, Servers: []Server{PouchDB},
		Documented: "_all_dbs gives the names that databases were created with; " + docs + "api/server/common.html#get--all_dbs",
		Does:       "slashes are left out: a/b and ab are one database, listed as ab",
		Handling:   "none, since the name cannot be made out again: ListDBs finds nothing by a prefix with a slash; drop databases by their names, not by such a list",
	},

	{
		Name: "plus sign in a path", Servers: []Server{CouchDB},
		Documented: "a name may hold a plus sign; " + docs + "api/database/common.html#put--db",
		Does:       "in a path it is read as a space",
		Handling:   "couch.Cluster escapes it",
	},
	{
		Name: "order of databases", Servers: []Server{PouchDB},
		Documented: "_all_dbs is in the order of names; " + docs + "api/server/common.html#get--all_dbs",
		Does:       "it is in the order of their creation",
		Handling:   "couch.Cluster puts them in order",
	},
	{
		Name: "order of bulk answers", Servers: []Server{PouchDB},
		Documented: "in every example answers are in the order of the documents; " + docs + "api/database/bulk-api.html#db-bulk-docs",
		Does:       "answers for design documents come first",
		Handling:   "couch.Cluster puts them in order, by their ids",
	},
	{
		Name: "weak ETag", Servers: []Server{PouchDB},
		Documented: "the ETag of an answer with a document is its revision; " + docs + "api/document/common.html#get--db-docid",
		Does:       "for deletions it is a mark of the web framework",
		Handling:   "couch.Cluster takes the revision from the answer's body instead",
	},
	{
		Name: "the empty id", Servers: []Server{PouchDB},
		Documented: "keys that match no document are rows with an error; " + docs + "api/database/bulk-api.html#post--db-_all_docs",
		Does:       "the empty key is every document's",
		Handling:   "couch.Cluster leaves it out",
	},
}

// differs tells whether the store under test has the difference of this name.
func (s *suite) differs(name string) bool {
	at := slices.IndexFunc(Differences, func(d Difference) bool { return d.Name == name })
	if at < 0 {
		s.Fatalf("no difference %q in the table", name)
	}
	return slices.Contains(Differences[at].Servers, s.Server)
}
