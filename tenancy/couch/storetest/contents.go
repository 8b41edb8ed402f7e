// Contents: what becomes of the JSON of a document.

package storetest

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

var contentTests = []test{
	{"text and structure", func(s *suite) {
		db := s.db("docs")
		for _, doc := range []string{
			`{}`,
			`{"empty":"","null":null,"true":true,"false":false,"list":[],"object":{}}`,
			`{"text":"é e\u0301 日本語 😀 \u2028 <b>&amp;</b> \"quoted\" back\\slash \t\r\n \u0001"}`,
			`{"é":1,"日本語":{"😀":[1,[2,[3,{"deep":[]}]]]},"with space":0,"":"no name"}`,
			`{"session_secret":"AAEC/+==","domain_aliases":["a.example","ü.example:8080"],"disk_quota":"3000000000"}`,
		} {
			rev := s.put(db, "a", doc)
			s.keeps(db, "a", doc)
			s.remove(db, "a", rev)
		}
	}},
	{"a zero character in text", func(s *suite) {
		db := s.db("docs")
		s.put(db, "a", `{"text":"a\u0000b"}`)
		s.keeps(db, "a", `{"text":"a\u0000b"}`)
	}},
	// https://docs.couchdb.org/en/stable/api/basics.html#number-handling: what has a
	// decimal point or an exponent is a double; integers are not.
	{"numbers", func(s *suite) {
		db := s.db("docs")
		for _, n := range []string{
			"0", "-1", "1.0", "0.5", "0.1", "-2.75", "1e3", "1.5e-7", "123456789.125",
			"9007199254740991", "9007199254740993", "9223372036854775807", "-9223372036854775808", "18446744073709551615",
		} {
			rev := s.put(db, "n", `{"n":`+n+`}`)
			doc, err := s.Cluster.Get(s.ctx, db, "n")
			if err != nil {
				s.Fatal(err)
			}
			var got struct{ N json.Number }
			if err := json.Unmarshal(doc, &got); err != nil {
				s.Fatal(err)
			}
			if s.differs(IntegersAreDoubles) {
				if asDouble(got.N.String()) != asDouble(n) {
					s.Errorf("%s was written, and %s is read, which is not even the nearest double", n, got.N)
				}
			} else if !sameNumber(got.N.String(), n) {
				s.Errorf("%s was written, and %s is read", n, got.N)
			}
			s.remove(db, "n", rev)
		}
	}},
	{"a document of a megabyte", func(s *suite) {
		db := s.db("docs")
		doc := `{"text":"` + strings.Repeat("0123456789abcdef", 1<<16) + `"}`
		rev := s.put(db, "big", doc)
		s.keeps(db, "big", doc)
		s.put(db, "big", `{"_rev":"`+rev+`",`+doc[1:])
		changes := s.changes(db, couch.Feed{})
		if len(changes) != 1 || len(changes[0].Doc) < 1<<20 {
			s.Fatalf("%d changes", len(changes))
		}
		s.same(s.walk(db, couch.Range{}), []string{"big"}, "a range with a big document")
	}},
	// https://docs.couchdb.org/en/stable/config/couchdb.html#couchdb/max_document_size
	{"a document that is too large", func(s *suite) {
		db := s.db("docs")
		doc := json.RawMessage(`{"text":"` + strings.Repeat("x", 9_000_000) + `"}`)
		_, err := s.Cluster.Put(s.ctx, db, "big", doc)
		if s.differs(NoSizeLimit) {
			if err != nil {
				s.Fatalf("%v: the difference %q is gone", err, NoSizeLimit)
			}
			return
		}
		s.is(err, couch.ErrRefused, "9 MB")
		// More than the cluster sends at all.
		_, err = s.Cluster.Put(s.ctx, db, "big", json.RawMessage(`{"text":"`+strings.Repeat("x", 17<<20)+`"}`))
		s.is(err, couch.ErrRefused, "17 MB")
		s.same(s.walk(db, couch.Range{}), []string{}, "documents after refusals")
	}},
	{"what is no document is refused", func(s *suite) {
		db := s.db("docs")
		for _, doc := range []string{`[]`, `"text"`, `{`, `{"_unknown":1}`} {
			_, err := s.Cluster.Put(s.ctx, db, "a", json.RawMessage(doc))
			if strings.Contains(doc, "_unknown") && s.differs(FieldIsFailure) {
				s.is(err, tenancy.ErrUnavailable, doc)
				continue
			}
			s.is(err, couch.ErrRefused, doc)
		}
		if _, err := s.Cluster.Put(s.ctx, db, "a", func() {}); err == nil {
			s.Fatal("a function was written")
		}
		s.same(s.walk(db, couch.Range{}), []string{}, "documents after refusals")
	}},
}

// sameNumber compares JSON numbers by value: integers exactly, others as doubles.
func sameNumber(a, b string) bool {
	if !strings.ContainsAny(b, ".eE") {
		x, ok := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		return ok && x.Cmp(y) == 0
	}
	return asDouble(a) == asDouble(b)
}

// asDouble is the integer, or the shortest text, of the double that is nearest.
func asDouble(n string) string {
	var f float64
	if err := json.NewDecoder(bytes.NewReader([]byte(n))).Decode(&f); err != nil {
		return "no number: " + n
	}
	return new(big.Float).SetFloat64(f).Text('f', -1)
}
