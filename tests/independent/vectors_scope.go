package main

import "strings"

// scopeVectors are scopes that are none, and Secrets that a scope does not cover.
func (c *collection) scopeVectors() {
	for _, s := range []struct {
		file, comment string
		scope         []string
	}{
		{"unsorted", "Patterns are sorted bytewise: one spelling a scope.", []string{"shop-test/db", "shop-prod/db"}},
		{"duplicate", "One pattern twice.", []string{"shop-prod/db", "shop-prod/db"}},
		{"33-patterns", "One pattern more than there may be.", append([]string{"shop-prod/db"}, manyPatterns(32)...)},
		{"331-bytes", "A pattern of 331 bytes.", []string{"shop-prod/db", "shop-prod/db" + strings.Repeat("x", 319)}},
		{"empty", "A scope without patterns.", []string{}},
		{"three-stars", "Three stars on one side.", []string{"shop-prod/*d*b*"}},
		{"no-slash", "A pattern without a name.", []string{"*"}},
		{"two-slashes", "A pattern of three parts.", []string{"shop-prod/db", "shop-prod/db/x"}},
		{"empty-side", "A pattern whose name is empty.", []string{"shop-prod/", "shop-prod/db"}},
		{"upper-case", "DNS names are lower case here.", []string{"Shop-prod/db", "shop-prod/db"}},
		{"hash-in-namespace", "A namespace has no suffix of kustomize's.", []string{"shop-prod-{hash}/db", "shop-prod/db"}},
		{"hash-in-the-middle", "The suffix stands at the end.", []string{"shop-prod/db", "shop-prod/db-{hash}-x"}},
		{"hash-without-hyphen", "The suffix has its hyphen.", []string{"shop-prod/db", "shop-prod/db{hash}"}},
		{"space", "A space after a pattern.", []string{"shop-prod/db", "shop-prod/db "}},
	} {
		d := newDraft(x25519Prod)
		d.Scope = s.scope
		d.put("password", "hunter2")
		if len(s.scope) == 0 {
			c.malformed("scope-"+s.file, s.comment, d, swap("  envelopes:\n", "  scope: []\n  envelopes:\n"))
			continue
		}
		c.malformed("scope-"+s.file, s.comment, d)
	}
	d := simple()
	d.putUnder(d.dek, "token", "t0ken", []string{"shop-test/db", "shop-prod/db"})
	c.malformed("scope-of-item-unsorted", "The scope of an item is read as strictly.", d)
	d = simple()
	c.malformed("scope-of-item-empty", "An empty scope of an item is not the same as none.", d, swap("    password:\n", "    password:\n      scope: []\n"))
	d = newDraft(x25519Prod)
	d.Scope = nil
	d.put("password", "hunter2")
	c.malformed("scope-none", "Neither the document nor the item says its scope.", d)
	d = newDraft(x25519Prod)
	d.Scope = nil
	d.at = live{source: true}
	d.put("password", "hunter2")
	c.malformed("scope-none-in-source", "An item without any scope does not open as a source file either.", d)
	d = newDraft(x25519Prod)
	d.Scope = nil
	d.putUnder(d.dek, "password", "hunter2", []string{"shop-prod/db"})
	c.malformed("scope-only-on-items", "A document as built must say its scope; only an overlay's patch, a source file, may leave it to its items.", d)

	for _, m := range []struct{ file, comment, pattern, namespace, name string }{
		{"namespace", "The document stands in another namespace.", "shop-prod/db", "shop-test", "db"},
		{"name", "The document has another name.", "shop-prod/db", "shop-prod", "db2"},
		{"name-prefix", "A prefix that kustomize put before the name.", "shop-prod/db", "shop-prod", "p-db"},
		{"no-namespace", "The document stands in no namespace.", "*/db", "", "db"},
		{"star-needs-hyphen", "What stands around a star must be there.", "shop-*/db", "shop", "db"},
		{"hash-letter", "`a` is not in the suffix's alphabet.", "shop-prod/db-{hash}", "shop-prod", "db-2456789bca"},
		{"hash-short", "A suffix of nine characters.", "shop-prod/db-{hash}", "shop-prod", "db-2456789bc"},
		{"hash-long", "A suffix of eleven characters.", "shop-prod/db-{hash}", "shop-prod", "db-2456789bcdf"},
		{"hash-missing", "The name has no suffix, the scope wants one.", "shop-prod/db-{hash}", "shop-prod", "db"},
		{"hash-unwanted", "The name has a suffix, the scope has none.", "shop-prod/db", "shop-prod", "db-2456789bcd"},
		{"dot-is-a-dot", "A dot of a pattern matches a dot only.", "shop-prod/a.b", "shop-prod", "axb"},
	} {
		d := newDraft(x25519Prod)
		d.Scope = []string{m.pattern}
		d.put("password", "hunter2")
		d.at = live{namespace: m.namespace, name: m.name}
		c.mismatch("mismatch-"+m.file, "password", m.comment, d)
	}

	d = newDraft(x25519Prod)
	d.Scope = []string{"shop-prod/db", "shop-test/db"}
	d.put("host", "db.example.test")
	own := randomBytes(dekSize)
	d.putUnder(own, "password", "hunter2", []string{"shop-prod/db"}).Envelope = envelopeFor(own, x25519Prod)
	d.at = live{namespace: "shop-test", name: "db"}
	c.mismatch("mismatch-of-one-item", "password",
		"The patch of prod merged into test: the scope of the document fits, that of one item does not, so nothing opens.", d)

	d = simple()
	d.identities = []string{x25519Test}
	d.at = live{namespace: "shop-test", name: "db"}
	c.mismatch("mismatch-before-recipient", "password", "Nobody here could open it either: the scope is judged first.", d)

	d = simple()
	d.EncryptedData["password"].Scope = []string{"shop-test/db"}
	c.mismatch("mismatch-item-scope-edited", "password", "An item's scope edited to another namespace.", d)
}
