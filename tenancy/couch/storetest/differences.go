// Differences: where a server differs from CouchDB's documentation, and what is done.

package storetest

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
	SlashLeftOut       = "slash left out"
	IntegersAreDoubles = "integers are doubles"
	NoFeedTimeout      = "feed without a timeout"
	BornUnknown        = "birth unknown"
	NoSizeLimit        = "no limit of size"
	OrderOfUTF16       = "order of UTF-16"
)

// Difference is one way in which a server is not what the documentation says.
type Difference struct {
	Name       string
	Servers    []Server
	Documented string // with the page
	Does       string // what the server does
	Handling   string // what we do about it
}

// Differences is the table.
var Differences = []Difference{}

func (s *suite) differs(name string) bool {
	for _, d := range Differences {
		if d.Name == name {
			for _, server := range d.Servers {
				if server == s.Server {
					return true
				}
			}
		}
	}
	return false
}
