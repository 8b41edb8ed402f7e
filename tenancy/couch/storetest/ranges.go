// Ranges: documents in the order of their ids, and many by their ids.

package storetest

import (
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// latin are the ids that do not begin with a character beyond U+00FF.
func latin(ids []string) (out []string) {
	for _, id := range ids {
		if first, _ := utf8.DecodeRuneInString(id); first <= 0xFF {
			out = append(out, id)
		}
	}
	return out
}

var rangeTests = []test{
	{"of an empty database", func(s *suite) {
		db := s.db("docs")
		for _, r := range []couch.Range{{}, {Start: "a"}, {End: "z"}, {Start: "a", End: "z", Limit: 3, Skip: 2}} {
			s.same(s.walk(db, r), []string{}, "an empty database")
		}
	}},
	{"bounds, limit and skip", func(s *suite) {
		db := s.db("docs")
		ids := []string{"a", "b", "c", "d", "e", "f"}
		s.fill(db, ids...)
		for _, c := range []struct {
			r    couch.Range
			want []string
		}{
			{couch.Range{}, ids},
			{couch.Range{Start: "c"}, ids[2:]},
			{couch.Range{End: "c"}, ids[:3]},
			{couch.Range{Start: "b", End: "d"}, ids[1:4]},
			{couch.Range{Start: "bb", End: "dd"}, ids[2:4]},
			{couch.Range{Start: "c", End: "c"}, ids[2:3]},
			{couch.Range{Start: "cc", End: "cd"}, nil},
			{couch.Range{Start: "d", End: "b"}, nil},
			{couch.Range{Start: "g"}, nil},
			{couch.Range{End: "A"}, nil},
			{couch.Range{Limit: 2}, ids[:2]},
			{couch.Range{Limit: 6}, ids},
			{couch.Range{Limit: 100}, ids},
			{couch.Range{Skip: 4}, ids[4:]},
			{couch.Range{Skip: 6}, nil},
			{couch.Range{Start: "b", Skip: 1, Limit: 2}, ids[2:4]},
			{couch.Range{Start: "b", End: "e", Skip: 2, Limit: 5}, ids[3:5]},
		} {
			s.same(s.walk(db, c.r), append([]string{}, c.want...), "a range")
		}
	}},
	{"without deleted documents", func(s *suite) {
		db := s.db("docs")
		s.put(db, "a", `{}`)
		s.remove(db, "b", s.put(db, "b", `{}`))
		s.put(db, "c", `{}`)
		s.same(s.walk(db, couch.Range{}), []string{"a", "c"}, "a range")
		s.same(s.walk(db, couch.Range{Start: "b", Limit: 1}), []string{"c"}, "a range that begins at a deleted one")
	}},
	{"over several pages", func(s *suite) {
		db := s.db("docs")
		ids := numbered(2*couch.PageSize + 500)
		s.fill(db, ids...)
		page := couch.PageSize
		for _, c := range []struct {
			r    couch.Range
			want []string
		}{
			{couch.Range{}, ids},
			{couch.Range{Start: ids[100]}, ids[100:]},
			{couch.Range{Start: ids[1], End: ids[page]}, ids[1 : page+1]}, // exactly one page
			{couch.Range{End: ids[page]}, ids[:page+1]},
			{couch.Range{Limit: page}, ids[:page]},
			{couch.Range{Limit: page + 1}, ids[:page+1]},
			{couch.Range{Skip: page + 10, Limit: page + 5}, ids[page+10 : 2*page+15]},
			{couch.Range{Start: ids[10], End: ids[page+20], Skip: 5}, ids[15 : page+21]},
		} {
			s.same(s.walk(db, c.r), c.want, "a range")
		}
	}},
	// https://docs.couchdb.org/en/stable/ddocs/views/collation.html#all-docs: ids are
	// in the order of their bytes, not in that of an alphabet.
	{"order", func(s *suite) {
		db := s.db("docs")
		ids := []string{"!", "0", "10", "9", "A", "B", "Z", "_design/x", "a", "aa", "b", "z", "~", "ß", "é", "日本", "\ufb01", "😀"}
		if !slices.IsSorted(ids) {
			s.Fatal("the test has the wrong order")
		}
		shuffled := append([]string(nil), ids...)
		slices.Reverse(shuffled)
		s.fill(db, shuffled...)
		want := ids
		if s.differs(LatinIDsListed) {
			want = latin(ids)
		}
		s.same(s.walk(db, couch.Range{}), want, "the order of ids")
		s.same(s.walk(db, couch.Range{Start: "B", End: "a"}), ids[5:9], "a range from a capital to a small letter")
		s.same(s.walk(db, couch.Range{Start: "é", End: "日本"}), ids[14:16], "a range beyond ASCII")
	}},
	{"an error ends it", func(s *suite) {
		db := s.db("docs")
		s.fill(db, "a", "b", "c")
		stop, seen := errors.New("enough"), 0
		err := s.Cluster.Walk(s.ctx, db, couch.Range{}, func(couch.Row) error {
			seen++
			if seen == 2 {
				return stop
			}
			return nil
		})
		if err != stop || seen != 2 {
			s.Fatalf("%v after %d rows", err, seen)
		}
	}},
	{"many by id", func(s *suite) {
		db := s.db("docs")
		ids := numbered(couch.PageSize + 200)
		s.fill(db, append([]string{"é/x", "A"}, ids...)...)
		s.remove(db, "gone", s.put(db, "gone", `{}`))
		asked := append([]string{"missing", "é/x", "gone", "A", "_design/none", ""}, ids...)
		rows, err := s.Cluster.GetMany(s.ctx, db, asked)
		if err != nil {
			s.Fatal(err)
		}
		got := make([]string, len(rows))
		for i, row := range rows {
			s.sameID(row.ID, row.Doc)
			got[i] = row.ID
		}
		s.same(got, append([]string{"é/x", "A"}, ids...), "documents by their ids, in the order asked for")
		if rows, err := s.Cluster.GetMany(s.ctx, db, nil); err != nil || len(rows) != 0 {
			s.Fatalf("no ids: %v, %v", rows, err)
		}
	}},
}
