package directory
import ("testing";"math/rand/v2";"strconv";"sync/atomic";"fmt";"runtime")
func BenchmarkCalib(b *testing.B) {
	const n=1_000_000
	x := newIndex()
	nm := func(i int) string { return "tenant" + strconv.Itoa(i*7919%10_000_019) + ".example.com" }
	for i := range n {
		e := &Entry{ID: fmt.Sprintf("%032x", i), Rev: fmt.Sprintf("1-%032x", i), Domain: nm(i), Key: nm(i), Prefix: fmt.Sprintf("cozy%032x", i), UUID: fmt.Sprintf("%036x", i), Locale:"fr", Context:"default"}
		e.Key = e.Domain
		e.pack()
		x.apply(e)
	}
	runtime.GC()
	d := New(Options{}); d.served.Store(x); x.private=false
	hosts := make([]string, 1<<16)
	for i := range hosts { hosts[i]="drive."+nm(rand.IntN(n)) }
	var next atomic.Uint32
	b.Run("x", func(b *testing.B){ b.RunParallel(func(pb *testing.PB){ i:=next.Add(1)*7001; for pb.Next(){ i++; if _, ok := d.Resolve(hosts[i&(1<<16-1)], Nested); !ok { panic(1)} } }) })
	b.Run("named", func(b *testing.B){ b.RunParallel(func(pb *testing.PB){ i:=next.Add(1)*7001; var buf [64]byte; for pb.Next(){ i++; if e,_,_ := x.find(append(buf[:0],hosts[i&(1<<16-1)][6:]...)); e==nil { panic(1)} } }) })
	b.Run("nohash", func(b *testing.B){ b.RunParallel(func(pb *testing.PB){ i:=next.Add(1)*7001; s:=0; for pb.Next(){ i++; h:=hosts[i&(1<<16-1)]; s+=len(plainName(h)) } ; _=s}) })
	runtime.KeepAlive(d)
}
func plainName(s string) string { n:=0; for i:=range len(s) { n+=int(s[i]) }; return s[n%2:] }
