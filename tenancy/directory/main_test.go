// What the tests share: documents, directories that are fed by hand, and the
// check that no goroutine stays.

package directory_test

import (
	"fmt"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// field changes a document that a test makes.
type field func(*tenancy.Instance)

func with(name string, value any) field {
	return func(doc *tenancy.Instance) { doc.Set(name, value) }
}

func aliases(names ...string) field {
	return func(doc *tenancy.Instance) { doc.SetList("domain_aliases", names) }
}

func newDoc(id, rev, domain string, fields ...field) *tenancy.Instance {
	doc := tenancy.NewInstance()
	doc.Set("_id", id)
	doc.Set("_rev", rev)
	doc.Set("domain", domain)
	for _, f := range fields {
		f(doc)
	}
	return doc
}

// fed is a directory without a store that knows the documents.
func fed(docs ...*tenancy.Instance) *directory.Directory {
	d := directory.New(directory.Options{})
	for _, doc := range docs {
		d.Apply(doc)
	}
	return d
}

// fleetName is the domain of instance i; fleetName and the documents look like
// those of a stack.
func fleetName(i int) string { return "tenant" + strconv.Itoa(i*7919%10_000_019) + ".example.com" }

func fleetDoc(i, generation int) *tenancy.Instance {
	doc := tenancy.NewInstance()
	doc.Set("_id", fmt.Sprintf("%032x", i))
	doc.Set("_rev", fmt.Sprintf("%d-%032x", generation, i))
	doc.Set("domain", fleetName(i))
	doc.Set("prefix", fmt.Sprintf("cozy%032x", i))
	doc.Set("uuid", fmt.Sprintf("%08x-0000-4000-8000-000000000000", i))
	doc.Set("context", "default")
	doc.Set("locale", "fr")
	return doc
}
