// Ambiguity: whether a new name would take hosts of an instance that is there,
// or lose its own to one.

package directory

// Ambiguity is an instance that a new name cannot stand beside.
type Ambiguity struct {
	Entry Entry
	Key   string // the instance's domain or alias, in normal form
	// Above tells that the new name would be an app host of the instance; else
	// the instance's name would become an app host of the new one.
	Above bool
}

// Ambiguous tells whether an instance of the name key (normal form, perhaps with
// a port) would take requests from one that is there, or the other way round.
// Names with different ports do not disturb each other; a name without a port
// answers on all of them.
//
// It is meant for adding an instance, and for giving one an alias, whose own
// instance counts as well. It scans the directory (hundreds of milliseconds
// at a million hosts) only where there is something to find, or where key has no port
// and others do. Safe for concurrent use. Nothing is found before the directory
// is ready.
func (d *Directory) Ambiguous(key string, mode Mode) (Ambiguity, bool) {
	x := d.served.Load()
	name, port := splitPort(key)
	if x == nil || mode == Off || name == "" {
		return Ambiguity{}, false
	}
	if parent, _, _, ok := mode.cut(nil, []byte(name), len(name)); ok {
		if found, ok := x.above(string(parent), port); ok {
			return found, true
		}
	}
	d.mu.Lock()
	children := x.children[x.childHash([]byte(name), mode)]
	d.mu.Unlock()
	if children == 0 {
		return Ambiguity{}, false
	}
	return x.scan(func(existing, existingPort string) bool {
		parent, _, _, ok := mode.cut(nil, []byte(existing), len(existing))
		return ok && string(parent) == name && meet(port, existingPort)
	})
}

// above finds an instance with the parent's name, on a port that meets.
func (x *index) above(parent, port string) (Ambiguity, bool) {
	keys := []string{parent}
	if port != "" {
		keys = append(keys, parent+":"+port)
	}
	for _, key := range keys {
		if f := x.find([]byte(key)); f.present() {
			return Ambiguity{Entry: f.entry(), Key: f.key(), Above: true}, true
		}
	}
	if port != "" || x.ported.Load() == 0 {
		return Ambiguity{}, false
	}
	found, ok := x.scan(func(existing, _ string) bool { return existing == parent })
	found.Above = ok
	return found, ok
}

// meet tells whether a request can go to both ports.
func meet(a, b string) bool { return a == "" || b == "" || a == b }

// scan looks at each domain and alias, name and port apart.
func (x *index) scan(meant func(name, port string) bool) (Ambiguity, bool) {
	for e := range x.all {
		for n := range e.names {
			key := textOf(n.text)
			if name, port := splitPort(key); n.by != ByOldDomain && meant(name, port) {
				return Ambiguity{Entry: e, Key: key}, true
			}
		}
	}
	return Ambiguity{}, false
}
