// What the tests share: documents, directories that are fed by hand, and the
// check that no goroutine stays.

package directory_test

import (
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
