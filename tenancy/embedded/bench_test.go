// Benchmarks: the writes that share syncs, reads, and a feed that catches up.

package embedded_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
)

// instanceDoc is about as large as an instance's.
func instanceDoc(i int) map[string]any {
	return map[string]any{
		"domain": fmt.Sprintf("tenant%07d.example.org", i), "locale": "en", "onboarding_finished": true,
		"oauth_secret": strings.Repeat("s", 172), "session_secret": strings.Repeat("s", 88), "cli_secret": strings.Repeat("s", 172),
	}
}

func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := newDB(b)
			var n atomic.Int64
			b.SetParallelism(writers) // times GOMAXPROCS
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(1))
					if _, err := db.Put(b.Context(), fmt.Sprintf("%032d", i), instanceDoc(i)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	db := newDB(b)
	const n = 10_000
	fillInstances(b, db, n)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var doc struct {
			Domain string `json:"domain"`
		}
		for pb.Next() {
			i := int(next.Add(7919)) % n
			if err := db.Get(b.Context(), fmt.Sprintf("%032d", i)).ScanDoc(&doc); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// A directory that starts without a snapshot reads everything by longpolls.
func BenchmarkChangesCatchUp(b *testing.B) {
	db := newDB(b)
	const n = 50_000
	fillInstances(b, db, n)
	for b.Loop() {
		since, read := "0", 0
		for read < n {
			rows := db.Changes(b.Context(), kivik.IncludeDocs(), kivik.Params(map[string]any{"feed": "longpoll", "since": since, "limit": 1000}))
			var doc struct {
				Domain string `json:"domain"`
			}
			for rows.Next() {
				if err := rows.ScanDoc(&doc); err != nil {
					b.Fatal(err)
				}
				read++
			}
			if err := rows.Err(); err != nil {
				b.Fatal(err)
			}
			since = must(rows.Metadata()).LastSeq
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "docs/s")
}

func BenchmarkViewKey(b *testing.B) {
	db := newDB(b)
	const n = 10_000
	put(b, db, "_design/"+view, viewDoc)
	fillInstances(b, db, n)
	for i := 0; b.Loop(); i++ {
		rows := db.Query(b.Context(), view, view, kivik.IncludeDocs(), kivik.Param("key", fmt.Sprintf("tenant%07d.example.org", i%n)))
		if !rows.Next() {
			b.Fatal("no row")
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func fillInstances(b *testing.B, db *kivik.DB, n int) {
	b.Helper()
	for done := 0; done < n; {
		var docs []any
		for ; len(docs) < 5000 && done < n; done++ {
			doc := instanceDoc(done)
			doc["_id"] = fmt.Sprintf("%032d", done)
			docs = append(docs, doc)
		}
		if _, err := db.BulkDocs(b.Context(), docs); err != nil {
			b.Fatal(err)
		}
	}
}
